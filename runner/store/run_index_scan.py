"""Finds what may be a run below a folder, without opening a file and without following a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from runner.core.errors import UsageError
from runner.core.live import LIVE
from runner.experiment.suggestions import harmless
from runner.store.run_names import JOURNAL, RESULTS, RUN, SPEC
from runner.store.run_summary import Key, RunState, RunSummary, byte_text

_OF_A_RUN: Final = (RESULTS, RUN, JOURNAL, LIVE)
_OF_KEY: Final = (RESULTS, RUN, JOURNAL, SPEC)
"""The file of a run in progress changes every second, and nothing of it is in a row."""
_ARCHIVE: Final = ".zip"
_INSIDE: Final = frozenset({"charts", "provenance", "node_modules"})
"""Folders that contain no runs."""
_MAX_TEXT: Final = 300
_MAX_DEPTH: Final = 12
_MAX_ENTRIES: Final = 500_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be a run.

    Attributes:
        path: As of `runner.store.run_summary.RunSummary`.
        key: Likewise.
        state: What is known without reading it: LINK, UNREADABLE, or UNREAD.
        is_archive: Whether it is a file.
        names: The files of a run's folder that exist.
        archive: Name of the archive in it; empty without one.
        problem: Why it is not read; empty if it can be.
    """

    path: str
    key: Key
    state: RunState
    is_archive: bool = False
    names: frozenset[str] = frozenset()
    archive: str = ""
    problem: str = ""

    @property
    def changed_at(self) -> str:
        """When it was changed last, UTC, ISO 8601; empty if that is not known."""
        return _time(self.key)


def check_folder(folder: Path) -> None:
    """Check that runs can be looked for in a folder.

    Raises:
        UsageError: It does not exist, or it is something else.
    """
    if not folder.is_dir():
        shown = harmless(str(folder))
        problem = f"{shown} is no folder" if folder.exists() else f"there is no folder {shown}"
        raise UsageError(problem, hint="give a folder with runs, such as reports")


def unmeasured(
    candidate: Candidate,
    state: RunState,
    problem: str = "",
    hint: str = "",
    *,
    experiment: str = "",
    title: str = "",
    run_id: str = "",
    started_at: str = "",
) -> RunSummary:
    """Return a row without numbers, with what else is known of the run."""
    return RunSummary(
        candidate.path,
        candidate.key,
        state,
        candidate.is_archive,
        short(problem),
        short(hint),
        experiment,
        title,
        run_id,
        started_at or candidate.changed_at,
        archive=candidate.archive,
    )


def short(text: str) -> str:
    """Return a text of a run on one line and not longer than a row needs."""
    return harmless(text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…")


@dataclass(slots=True)
class Scan:
    """What was found below a folder.

    Attributes:
        candidates: In no particular order.
        is_partial: Whether the folder has more entries than are looked at.
    """

    candidates: list[Candidate] = field(default_factory=list)
    is_partial: bool = False
    _entries: int = 0

    def counts(self, number: int) -> bool:
        """Count entries; return whether there may be more."""
        self._entries += number
        self.is_partial = self.is_partial or self._entries > _MAX_ENTRIES
        return not self.is_partial


def scan(folder: Path) -> Scan:
    """Return what may be a run below a folder; hidden folders and links are not entered.

    Raises:
        OSError: The folder itself cannot be read.
    """
    result = Scan()
    root = os.fspath(folder)
    waiting = [("", 0)]
    with os.scandir(root):  # raises if it cannot be read
        pass
    while waiting and not result.is_partial:
        path, depth = waiting.pop()
        try:
            with os.scandir(os.path.join(root, path)) as listing:  # noqa: PTH118  (a tenth of the time)
                entries = list(listing)
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError as error:
            result.candidates.append(_unreadable(path, error))
            continue
        if result.counts(len(entries)):
            result.candidates += _candidates(path, entries)
            if depth < _MAX_DEPTH:
                waiting += [(_join(path, name), depth + 1) for name in _subfolders(entries)]
    return result


def _candidates(path: str, entries: Sequence[os.DirEntry[str]]) -> Iterator[Candidate]:
    """Yield the run that a folder is, or the archives in it, and the links in it that are not followed."""
    files = {entry.name: entry for entry in entries}
    archives = sorted(
        name for name in files if name.lower().endswith(_ARCHIVE) and not _is_folder(files[name])
    )
    names = frozenset(name for name in _OF_A_RUN if name in files)
    if names:
        own = next((name for name in archives if files[name].is_file(follow_symlinks=False)), "")
        read = (RESULTS,) if RESULTS in names else _OF_KEY
        key = _key([files[name] for name in read if name in files])
        key += ((LIVE, 0, 0),) if LIVE in names else ()
        link = next((name for name in _OF_KEY if name in files and files[name].is_symlink()), "")
        state, problem = (RunState.LINK, f"its {link} is a link") if link else (RunState.UNREAD, "")
        yield Candidate(path, key, state, False, names, own, problem)
    else:
        yield from (_archive(path, files[name]) for name in archives)
    yield from (_link(path, entry) for entry in entries if entry.is_symlink() and entry.is_dir())


def _archive(path: str, entry: os.DirEntry[str]) -> Candidate:
    key = _key([entry])
    where = _join(path, entry.name)
    if entry.is_symlink():
        return Candidate(where, key, RunState.LINK, True, problem="it is a link")
    return Candidate(where, key, RunState.UNREAD, True)


def _link(path: str, entry: os.DirEntry[str]) -> Candidate:
    key = _key([entry])
    where = _join(path, entry.name)
    return Candidate(where, key, RunState.LINK, problem="it is a link to a folder")


def _unreadable(path: str, error: OSError) -> Candidate:
    return Candidate(path, (), RunState.UNREADABLE, problem=error.strerror or "it cannot be read")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _subfolders(entries: Sequence[os.DirEntry[str]]) -> Iterator[str]:
    for entry in entries:
        if not entry.name.startswith(".") and entry.name not in _INSIDE and _is_folder(entry):
            yield entry.name


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _key(entries: Sequence[os.DirEntry[str]]) -> Key:
    """Return the key of some files; one that has vanished has no part in it."""
    parts = []
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        kind = stat.S_IFMT(status.st_mode)
        name = byte_text(entry.name) + ("" if kind == stat.S_IFREG else f" ({kind:o})")
        parts.append((name, status.st_size, status.st_mtime_ns))
    return tuple(parts)


def _time(key: Key) -> str:
    newest = max((changed_ns for _, _, changed_ns in key), default=0) / 1e9
    try:
        return "" if newest == 0 else datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
