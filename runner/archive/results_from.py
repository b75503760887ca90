"""Reads results from wherever a run is kept: its folder, its results.json, or its archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from runner.core.errors import ArchiveDamaged, StoredRunError
from runner.core.results import Results
from runner.store.results_file import parse_results, read_results
from runner.store.run_names import RESULTS

_ZIP: Final = b"PK\x03\x04"


def read_results_of(path: Path) -> Results:
    """Return the results of a run; an archive is compared with its manifest first.

    Raises:
        StoredRunError: There are none, or they are partial, damaged, newer or edited.
    """
    if not is_archive(path):
        return read_results(path)
    from runner.archive.unpack import read_archive  # noqa: PLC0415  (folders need none of it)

    files = read_archive(path).files
    if RESULTS not in files:
        raise ArchiveDamaged(f"{path}: {RESULTS} is missing")
    try:
        return parse_results(files[RESULTS], path / RESULTS)
    except StoredRunError as error:
        raise ArchiveDamaged(error.message, hint=error.hint, details=error.details) from None


def is_archive(path: Path) -> bool:
    """Whether a path is read as an archive: its name ends in ``.zip``, or its content starts like one.

    The content of a pipe is not examined, since that would consume it: a specification may come through one.
    """
    if path.is_dir():
        return False
    return path.suffix.lower() == ".zip" or (path.is_file() and _starts_as_zip(path))


def _starts_as_zip(path: Path) -> bool:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            return stream.read(len(_ZIP)) == _ZIP
    except OSError:
        return False
