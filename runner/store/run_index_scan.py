"""Finds what may be a run below a folder, without opening a file and without following a link."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from runner.core.errors import UsageError
from runner.core.units import NS_PER_S
from runner.store.run_candidate import Candidate
from runner.store.run_names import JOURNAL, LIVE, RESULTS, RUN, SPEC
from runner.store.run_summary import Key, RunState, RunSummary, byte_text

if TYPE_CHECKING:
    _Entry: TypeAlias = os.DirEntry[str]

_OF_A_RUN: Final = frozenset({RESULTS, RUN, JOURNAL, LIVE})
_OF_KEY: Final = (RESULTS, RUN, JOURNAL, SPEC)
"""The file of a run in progress changes every second, and nothing of it is in a row."""
_NAMES: Final = _OF_A_RUN | {*_OF_KEY}
_ARCHIVE: Final = ".zip"
_INSIDE: Final = frozenset({"charts", "provenance", "node_modules"})
"""Folders that contain no runs."""
_MAX_DEPTH: Final = 12
_MAX_ENTRIES: Final = 500_000
_ENTRIES_OF_RUN: Final = 8
"""A run's folder counts as so many where it is not listed."""
_SETTLED_NS: Final = 2 * NS_PER_S
"""A folder may change twice within one tick of the clock that its file system uses; FAT's is the slowest."""


def check_folder(folder: Path) -> None:
    """Check that runs can be looked for in a folder.

    Raises:
        UsageError: It does not exist, or it is something else.
    """
    if not folder.is_dir():
        problem = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
        raise UsageError(problem, hint="give a folder with runs, such as reports")


@dataclass(slots=True)
class Scan:
    """What was found below a folder.

    Attributes:
        candidates: In no particular order.
        settled: Path to when it had changed last, in nanoseconds since 1970, of each run's folder that
            needs no other listing until that changes.
        is_partial: Whether the folder has more entries than are looked at.
    """

    candidates: list[Candidate] = field(default_factory=list)
    settled: dict[str, int] = field(default_factory=dict)
    is_partial: bool = False
    _entries: int = 0

    def counts(self, number: int) -> bool:
        """Count entries; return whether there may be more."""
        self._entries += number
        self.is_partial = self.is_partial or self._entries > _MAX_ENTRIES
        return not self.is_partial


def scan(folder: Path, rows: Mapping[str, RunSummary], settled: Mapping[str, int]) -> Scan:
    """Return what may be a run below a folder; hidden folders and links are not entered.

    Every folder is listed but those of runs that were read and are as they were: three times as fast.

    Args:
        folder: Where to look.
        rows: Path to what was read of a run.
        settled: What the scan before has returned.

    Raises:
        OSError: The folder itself cannot be read.
    """
    result = Scan()
    root = os.fspath(folder)
    settled_ns = time.time_ns() - _SETTLED_NS
    waiting = [("", 0)]
    with os.scandir(root):  # raises if it cannot be read
        pass
    while waiting and not result.is_partial:
        path, depth = waiting.pop()
        row, changed_ns = rows.get(path), settled.get(path, 0)
        if row and row.is_measured and _is_as_it_was(f"{root}/{path}", row.key, changed_ns):
            result.counts(_ENTRIES_OF_RUN)
            result.candidates.append(_as_read(row))
            result.settled[path] = changed_ns
            continue
        try:
            with os.scandir(f"{root}/{path}") as listing:
                entries = list(listing)
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError as error:
            result.candidates.append(_unreadable(path, error))
            continue
        if result.counts(len(entries)):
            content = _content(entries)
            candidates = list(_candidates(path, content))
            result.candidates += candidates
            if candidates and _may_settle(candidates[0], content):
                changed_ns = _changed_ns(f"{root}/{path}")
                if 0 < changed_ns < settled_ns:
                    result.settled[path] = changed_ns
            if depth < _MAX_DEPTH:
                waiting += [(_join(path, name), depth + 1) for name in content.folders]
    return result


def _is_as_it_was(where: str, key: Key, changed_ns: int) -> bool:
    """Return whether a run's folder has the entries that it had, and its files are those of the key."""
    try:
        if os.lstat(where).st_ctime_ns != changed_ns:
            return False
        for name, size, file_changed_ns in key:
            status = os.lstat(f"{where}/{name}")
            if status.st_mtime_ns != file_changed_ns or status.st_size != size:
                return False
    except OSError:
        return False
    return True


def _as_read(row: RunSummary) -> Candidate:
    names = frozenset(name for name, _, _ in row.key)
    return Candidate(row.path, row.key, RunState.UNREAD, names=names, archive=row.archive)


def _changed_ns(where: str) -> int:
    """Return when an entry of a folder was last added, removed or renamed; no program can set that time."""
    try:
        return os.lstat(where).st_ctime_ns
    except OSError:
        return 0


class _Content(NamedTuple):
    """The entries of a folder that matter, looked at once each: there may be 100,000.

    Attributes:
        of_run: Name to entry of those that make a folder a run, whatever they are.
        archives: Those that are named as one and are no folder.
        links: Those that lead to a folder.
        folders: Names of those to be looked into.
    """

    of_run: dict[str, _Entry]
    archives: list[_Entry]
    links: list[_Entry]
    folders: list[str]


def _content(entries: Iterable[_Entry]) -> _Content:
    content = _Content({}, [], [], [])
    for entry in entries:
        name = entry.name
        if name in _NAMES:
            content.of_run[name] = entry
        if entry.is_file(follow_symlinks=False):
            if name[-4:].lower() == _ARCHIVE:
                content.archives.append(entry)
        elif entry.is_dir(follow_symlinks=False):
            if name not in _INSIDE and not name.startswith("."):
                content.folders.append(name)
        elif entry.is_symlink() and _leads_to_folder(entry):
            content.links.append(entry)
        elif name[-4:].lower() == _ARCHIVE:
            content.archives.append(entry)
    return content


def _leads_to_folder(link: _Entry) -> bool:
    try:
        return link.is_dir()
    except OSError:  # it leads in a circle, or to what this user may not see
        return False


def _candidates(path: str, content: _Content) -> Iterator[Candidate]:
    """Yield the run that a folder is, or the archives in it, and the links in it that are not followed."""
    names = _OF_A_RUN.intersection(content.of_run)
    if names:
        yield _run(path, content, names)
    else:
        yield from (_archive(path, entry) for entry in content.archives)
    yield from (_link(path, entry) for entry in content.links)


def _run(path: str, content: _Content, names: frozenset[str]) -> Candidate:
    files = content.of_run
    read = (RESULTS, RUN) if RESULTS in names else _OF_KEY
    key = _key([files[name] for name in read if name in files])
    key += ((LIVE, 0, 0),) if LIVE in names else ()
    archives = [entry.name for entry in content.archives if entry.is_file(follow_symlinks=False)]
    own = min(archives, default="")
    for name in _OF_KEY:
        if name in files and files[name].is_symlink():
            return Candidate(path, key, RunState.LINK, False, names, own, f"its {name} is a link")
    return Candidate(path, key, RunState.UNREAD, False, names, own)


def _may_settle(run: Candidate, content: _Content) -> bool:
    """Return whether a folder is that of a run that has ended, and leads nowhere else."""
    has_ended = RESULTS in run.names and LIVE not in run.names and run.state is RunState.UNREAD
    return has_ended and not content.folders and not content.links


def _archive(path: str, entry: _Entry) -> Candidate:
    key = _key([entry])
    where = _join(path, entry.name)
    if entry.is_symlink():
        return Candidate(where, key, RunState.LINK, True, problem="it is a link")
    return Candidate(where, key, RunState.UNREAD, True)


def _link(path: str, entry: _Entry) -> Candidate:
    key = _key([entry])
    where = _join(path, entry.name)
    return Candidate(where, key, RunState.LINK, problem="it is a link to a folder")


def _unreadable(path: str, error: OSError) -> Candidate:
    return Candidate(path, (), RunState.UNREADABLE, problem=error.strerror or "it cannot be read")


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _key(entries: Iterable[_Entry]) -> Key:
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
