"""`runner verify`: check that an archive is intact and that its numbers follow from its own data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from runner.cli import exit_codes
from runner.cli.output import answer


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
def verify(archive: Path) -> int:
    """Check ARCHIVE, a ZIP that `runner execute` wrote: every byte, and every number.

    results.json is computed again from the journal and its histograms, the report and its charts are
    rendered again, and the journal is compared with the specification; a number that does not follow is an
    error. If this version wrote ARCHIVE, its verdicts, texts and charts have to be the same too; if another
    version did, those that differ are listed. What nothing in ARCHIVE determines is listed as not verified.
    """
    from runner.archive.rerun import checked, written_by

    content, found = checked(archive)
    answer(f"{archive}: {len(content.files)} files are intact, and every number follows from the data")
    if found.explained:
        answer(
            f"Loadproof {written_by(content)} wrote it. Under the rules of this version it "
            "differs, and what differs is not verified:"
        )
        _list(found.explained)
    answer("not verified, because nothing in the archive determines it:")
    _list(found.unverified)
    answer(f"sha256 {content.sha256}")
    return exit_codes.DONE


def _list(lines: Iterable[str]) -> None:
    for line in lines:
        answer(f"  {line}")
