"""The archive of a run's folder, put into place whole or not at all."""

from __future__ import annotations

from pathlib import Path

from runner.archive.files import content
from runner.archive.pack import pack
from runner.core.errors import StoredRunError
from runner.store.results_file import read_results
from runner.store.run_file import RUN, parse_begun
from runner.store.run_folder import RunFolder


def archive_folder(run: Path, out: Path | None = None) -> Path:
    """Write the archive of a run's folder, into it unless told otherwise.

    Raises:
        StoredRunError: It is no whole run.
        OutputError: It cannot be written; nothing half written is left.
    """
    if not (run / RUN).exists():
        raise StoredRunError(
            f"{run} cannot be archived: there is no {RUN} in it",
            hint="give the folder that `runner execute` wrote; runs of older versions have no archive",
        )
    results = read_results(run)
    begun = parse_begun((run / RUN).read_bytes(), str(run / RUN))
    name = f"{results['experiment']['name']}-{begun.run.run_id}.zip"
    target = out or run / name
    return RunFolder(target.parent).write(target.name, pack(content(run)))
