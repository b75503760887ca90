"""`runner verify`: whether an archive is whole and its numbers follow from its own data."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import exit_codes
from runner.experiment.suggestions import harmless


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
def verify(archive: Path) -> int:
    """Check ARCHIVE, a ZIP that `runner execute` wrote: every byte, and every number.

    results.json is computed again from the journal and its histograms; a number that does not follow
    from them is named. Verdicts and texts must come out the same if this very code wrote ARCHIVE; of
    another version's, those that read otherwise are listed.
    """
    from runner.archive.rerun import checked, written_by

    found, otherwise = checked(archive)
    click.echo(f"{archive}: {len(found.files)} files are whole, and every number follows from the data")
    if otherwise:
        click.echo(
            f"Loadproof {harmless(written_by(found))} wrote it; by this one's rules it reads otherwise:"
        )
        for line in otherwise:
            click.echo(f"  {line}")
    click.echo(f"sha256 {found.identity}")
    return exit_codes.DONE
