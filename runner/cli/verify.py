"""`runner verify`: check that an archive is intact and that its numbers follow from its own data."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import exit_codes


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
def verify(archive: Path) -> int:
    """Check ARCHIVE, a ZIP that `runner execute` wrote: every byte, and every number.

    results.json is computed again from the journal and its histograms; a number that does not follow from
    them is an error. If this version wrote ARCHIVE, its verdicts and texts have to be the same too; if
    another version did, those that differ are listed.
    """
    from runner.archive.rerun import checked, written_by
    from runner.experiment.suggestions import harmless

    content, differences = checked(archive)
    click.echo(f"{archive}: {len(content.files)} files are intact, and every number follows from the data")
    if differences:
        click.echo(
            f"Loadproof {harmless(written_by(content))} wrote it; under the rules of this version it differs:"
        )
        for line in differences:
            click.echo(f"  {line}")
    click.echo(f"sha256 {content.identity}")
    return exit_codes.DONE
