"""The folder that a run writes to: empty or left by a run that measured nothing, and used by one run only."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from runner.core.errors import OutputError, UsageError
from runner.store.run_file import RUN
from runner.store.run_folder import JOURNAL, RESULTS, SPEC, RunFolder

_WITHOUT_TRIALS: Final = frozenset(
    {RUN, SPEC, RESULTS, JOURNAL, "live.ndjson", "provenance", "report.md", "report.html"}
)
"""What the folder of a run may contain that ended before its first trial."""


@contextmanager
def claimed_folder(path: Path, *, resumed: bool = False) -> Iterator[RunFolder]:
    """Provide a writable folder for one run, which no other run can use at the same time.

    A run that ended before its first trial, for whatever reason, has measured nothing: the next run replaces
    what it left, so that the same command can be given again.

    Args:
        path: Of the folder.
        resumed: Whether its run is continued, so that what it contains stays.

    Raises:
        UsageError: It contains other files, or another run uses it.
        OutputError: It cannot be created, such as where a file is in its place, or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _not_writable(path, error) from None
    try:
        _lock(descriptor, path)
        if not resumed:
            _empty(path)
        yield RunFolder(path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"another run is writing to the output folder {path}",
            hint="wait until it has ended, or give --out a new folder",
        ) from None
    except OSError:
        return  # a file system without locks


def _empty(path: Path) -> None:
    try:
        names = {entry.name for entry in path.iterdir()}
        if names and not _measured_nothing(path, names):
            raise UsageError(f"the output folder {path} is not empty", hint="give --out a new folder")
        for name in names:
            _remove(path / name)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise _not_writable(path, error) from None


def _measured_nothing(path: Path, names: set[str]) -> bool:
    """Return whether a folder is that of a run in whose journal no trial is."""
    journal = path / JOURNAL
    empty = not journal.exists() or journal.stat().st_size == 0
    return empty and RUN in names and names <= _WITHOUT_TRIALS


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        with suppress(FileNotFoundError):
            entry.unlink()


def _not_writable(path: Path, error: OSError) -> OutputError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        obstacle = next(one for one in (path, *path.parents) if os.path.lexists(one))
        return OutputError(
            f"the output folder {path} cannot be created: {obstacle} is not a folder",
            hint="give --out the path of a new folder",
        )
    return OutputError(
        f"cannot write to the output folder {path}: {error.strerror}",
        hint="choose another folder with --out",
    )
