"""Writes the archive of a run's folder, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from runner.archive.files import content
from runner.archive.pack import pack
from runner.core.errors import StoredRunError
from runner.store.results_file import read_results
from runner.store.run_file import RUN
from runner.store.run_folder import RunFolder


def archive_folder(run: Path, out: Path | None = None) -> Path:
    """Write the archive of a run's folder and return its path.

    Args:
        run: The folder.
        out: The file to write; None for one in the folder.

    Raises:
        StoredRunError: It is not the folder of a complete run.
        OutputError: It cannot be written; no partial file remains.
    """
    if not (run / RUN).exists():
        raise StoredRunError(
            f"{run} cannot be archived: there is no {RUN} in it",
            hint="give the folder that `runner execute` wrote; runs of older versions have no archive",
        )
    results = read_results(run)
    target = out or run / f"{results.experiment.name}-{results.run.id}.zip"
    return RunFolder(target.parent).write(target.name, pack(content(run)))
