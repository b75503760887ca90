"""Writes the archive of a run's folder, whole or not at all."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.archive.files import content
from runner.archive.pack import pack
from runner.core.errors import StoredRunError
from runner.store.results_file import read_results
from runner.store.run_file import RUN
from runner.store.run_folder import RunFolder

_RUN_ID: Final = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
"""As `runner.execution.pipeline` makes it."""


def archive_folder(run: Path, out: Path | None = None) -> Path:
    """Write the archive of a run's folder and return its path.

    Args:
        run: The folder.
        out: The file to write; None for one in the folder.

    Raises:
        StoredRunError: It is not the folder of a complete run.
        OutputError: It cannot be written; no partial file remains.
    """
    if not run.is_dir():
        problem = "is not a folder" if run.exists() else "does not exist"
        raise StoredRunError(
            f"{run} cannot be archived: it {problem}", hint="give the folder that `runner execute` wrote"
        )
    if not (run / RUN).exists():
        raise StoredRunError(
            f"{run} cannot be archived: there is no {RUN} in it",
            hint="give the folder that `runner execute` wrote; runs of older versions have no archive",
        )
    results = read_results(run)
    target = out or run / f"{results.experiment.name}-{results.run.id}.zip"
    return RunFolder(target.parent).write(target.name, pack(content(run)))


def remove_older_archives(archive: Path) -> None:
    """Remove the archives of before a run was resumed, so that its folder has one, of the whole run.

    Args:
        archive: Of the whole run, in its folder.
    """
    name = re.sub(f"{_RUN_ID}[.]zip", "", archive.name)
    own = re.compile(f"{re.escape(name)}{_RUN_ID}[.]zip")
    for other in archive.parent.iterdir():
        if other != archive and own.fullmatch(other.name) and other.is_file() and not other.is_symlink():
            with suppress(OSError):
                other.unlink()
