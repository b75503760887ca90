"""Results from wherever a run is kept: its folder, its results.json, or its archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from runner.archive.files import RESULTS
from runner.archive.unpack import read_archive
from runner.core.errors import ArchiveDamaged, StoredRunError
from runner.store.results_file import parse_results, read_results

_ZIP: Final = b"PK\x03\x04"


def read_results_of(path: Path) -> dict[str, Any]:
    """The content of results.json, its shape checked; an archive is held against its manifest first.

    Raises:
        StoredRunError: There is none, or it is partial, damaged, newer or edited.
    """
    if not is_archive(path):
        return read_results(path)
    files = read_archive(path).files
    if RESULTS not in files:
        raise ArchiveDamaged(f"{path}: {RESULTS} is missing")
    try:
        return parse_results(files[RESULTS], path / RESULTS)
    except StoredRunError as error:
        raise ArchiveDamaged(error.message, hint=error.hint, details=error.details) from None


def is_archive(path: Path) -> bool:
    """Whether a path is to be read as an archive: it is called a ZIP, or begins as one.

    A pipe is not looked into, since that would take from it: a specification may come through one.
    """
    if path.is_dir():
        return False
    return path.suffix.lower() == ".zip" or (path.is_file() and _begins_as_zip(path))


def _begins_as_zip(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_ZIP)) == _ZIP
    except OSError:
        return False
