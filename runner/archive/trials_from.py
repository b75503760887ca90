"""Reads what happened in the trials of a run from wherever the run is kept."""

from __future__ import annotations

from pathlib import Path

from runner.archive.results_from import is_archive
from runner.archive.unpack import read_archive
from runner.core.errors import ArchiveDamaged, StoredRunError
from runner.core.facts import TrialFacts
from runner.store.journal import parse, read
from runner.store.run_folder import JOURNAL


def read_trials_of(run: Path) -> tuple[TrialFacts, ...]:
    """Return the trials in the journal of a run, in the order of the run; of one that was repeated, the last.

    Args:
        run: Folder, results.json or archive of a run, complete or interrupted. An archive is compared with
            its manifest first.

    Raises:
        StoredRunError: There is no journal, or it is damaged or newer.
    """
    if is_archive(run):
        files = read_archive(run).files
        if JOURNAL not in files:
            raise ArchiveDamaged(f"{run}: {JOURNAL} is missing")
        entries = parse(files[JOURNAL], f"{run}: {JOURNAL}")
    else:
        folder = run if run.is_dir() else run.parent
        if not (folder / JOURNAL).exists():
            raise StoredRunError(
                f"{folder} has no {JOURNAL}, which has the seconds and the histograms of a run",
                hint="give the folder or the archive that `runner execute` wrote",
            )
        entries = read(folder / JOURNAL)
    latest = {entry.trial.order: entry.trial for entry in entries}
    return tuple(latest[order] for order in sorted(latest))
