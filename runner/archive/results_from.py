"""Reads results from wherever a run is kept: its folder, its results.json, or its archive."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from runner.core.errors import ArchiveDamaged, LoadproofError, StoredRunError
from runner.core.results import Results
from runner.store.results_file import parse_results, read_results
from runner.store.run_names import JOURNAL, RESULTS

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


def read_results_or_journal(run: Path) -> tuple[Results, tuple[str, ...]]:
    """Return the results of a run; where a folder has none that can be read, those that its journal gives.

    Returns:
        The results, and lines that say why they are those of the journal; none where they are not.

    Raises:
        StoredRunError: There is no run, or neither its results nor its journal can be read.
    """
    try:
        return read_results_of(run), ()
    except StoredRunError as error:
        if not run.is_dir():
            raise
        return _from_journal(run, error)


def _from_journal(run: Path, error: StoredRunError) -> tuple[Results, tuple[str, ...]]:
    from runner.store.reanalyze import reanalyze_folder  # noqa: PLC0415  (it needs the specification's types)

    try:
        results = reanalyze_folder(run)
    except LoadproofError as also:
        if not (run / JOURNAL).exists():
            raise error from None  # it explains what the folder of a run contains
        details = (*error.details, also.message, *also.details)
        raise StoredRunError(error.message, hint=also.hint, details=details) from None
    why = error.message if (run / RESULTS).exists() else f"{run} has no {RESULTS}"
    return results, (f"{why}; the report shows what the journal contains", *error.details)


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
