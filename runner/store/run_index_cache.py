"""Keeps what was read of a folder's runs: to read 10,000 runs takes minutes, to find them no second."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from runner.cache import cache_folder
from runner.core.units import BYTES_PER_MIB
from runner.store.bounded_read import NotReadable, read_bounded
from runner.store.run_summary import SUMMARY_VERSION, RunSummary, byte_text

_FOLDER: Final = "runs"
_MAX_BYTES: Final = 256 * BYTES_PER_MIB
_MAX_FOLDERS: Final = 50
"""As many folders are remembered."""


class _Cached(Struct, frozen=True):
    """The content of a cache file; `folder` is the one that it is of.

    `settled` has one number for each run, 0 for one that is not settled.
    """

    version: int
    loadproof: str
    folder: bytes
    runs: tuple[RunSummary, ...]
    settled: tuple[int, ...]


class _Head(Struct, frozen=True):
    version: int
    loadproof: str
    folder: bytes


def load(folder: Path) -> tuple[dict[str, RunSummary], dict[str, int]]:
    """Return path to summary of the runs that were read before, and which of their folders were settled.

    A damaged or foreign cache counts as none. The second part is as of `runner.store.run_index_scan.Scan`.
    """
    file = _file(folder)
    if file is None:
        return {}, {}
    try:
        content = read_bounded(file, _MAX_BYTES, "a list of runs")
        head = msgspec.msgpack.decode(content, type=_Head)
        if (head.version, head.loadproof, head.folder) == _identity(folder):
            cached = msgspec.msgpack.decode(content, type=_Cached)
            rows = {run.path: run for run in map(_with_names, cached.runs)}
            times = zip(rows, cached.settled, strict=True)
            return rows, {path: changed_ns for path, changed_ns in times if changed_ns}
    except NotReadable:
        return {}, {}
    except (ValueError, RecursionError, MemoryError):
        pass
    with suppress(OSError):
        file.unlink()
    return {}, {}


def save(folder: Path, rows: Mapping[str, RunSummary], settled: Mapping[str, int]) -> None:
    """Remember the summaries of a folder's runs; where that is impossible, they are read again next time."""
    file = _file(folder)
    if file is None:
        return
    from runner.store.atomic_write import atomic_write  # noqa: PLC0415  (most lists have no news)

    kept = tuple(map(_without_names, rows.values()))
    times = tuple(settled.get(path, 0) for path in rows)
    with suppress(OSError, UnicodeEncodeError):
        atomic_write(file, msgspec.msgpack.encode(_Cached(*_identity(folder), kept, times)))
        file.chmod(0o600)
        _forget_oldest(file.parent)


def _file(folder: Path) -> Path | None:
    cache = cache_folder()
    name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
    return cache / _FOLDER / f"{name}.msgpack" if cache else None


def _identity(folder: Path) -> tuple[int, str, bytes]:
    return SUMMARY_VERSION, _release(), os.fsencode(os.path.realpath(folder))


def _release() -> str:
    """Return the name of the folder that has the installed version in it; empty for what is not installed.

    `importlib.metadata` reads it there, too, but to import that takes as long as to read the whole list.
    """
    for place in sys.path:
        with suppress(OSError):
            for name in os.listdir(place or "."):  # noqa: PTH208  (names are all it needs)
                if name.startswith("loadproof-") and name.endswith(".dist-info"):
                    return name
    return ""


def _forget_oldest(cache: Path) -> None:
    files = sorted(cache.glob("*.msgpack"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[_MAX_FOLDERS:]:
        file.unlink(missing_ok=True)


def _without_names(run: RunSummary) -> RunSummary:
    """Return a summary that UTF-8 can express: names of files need not be UTF-8."""
    if run.path.isascii() and run.archive.isascii():
        return run
    return msgspec.structs.replace(run, path=byte_text(run.path), archive=byte_text(run.archive))


def _with_names(run: RunSummary) -> RunSummary:
    """Undo `_without_names`."""
    if run.path.isascii() and run.archive.isascii():
        return run
    path, archive = (os.fsdecode(name.encode("latin-1")) for name in (run.path, run.archive))
    return msgspec.structs.replace(run, path=path, archive=archive)
