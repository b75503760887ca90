"""Finds what may be a run below a folder, without opening a file and without following a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from msgspec import Struct

from runner.core.errors import UsageError
from runner.experiment.suggestions import harmless
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
_MAX_TEXT: Final = 300
_MAX_DEPTH: Final = 12
_MAX_ENTRIES: Final = 500_000


class Candidate(Struct, frozen=True):
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
    def changed_ns(self) -> int:
        """When it was changed last, in nanoseconds since 1970; 0 if that is not known."""
        return max((changed_ns for _, _, changed_ns in self.key), default=0)

    @property
    def changed_at(self) -> str:
        """When it was changed last, UTC, ISO 8601; empty if that is not known."""
        return _time(self.changed_ns)


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

    Every folder is listed each time: not every file system tells when one has changed.

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
            with os.scandir(f"{root}/{path}") as listing:
                entries = list(listing)
        except FileNotFoundError:  # removed meanwhile
            continue
        except OSError as error:
            result.candidates.append(_unreadable(path, error))
            continue
        if result.counts(len(entries)):
            content = _content(entries)
            result.candidates += _candidates(path, content)
            if depth < _MAX_DEPTH:
                waiting += [(_join(path, name), depth + 1) for name in content.folders]
    return result


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
        elif entry.is_symlink() and entry.is_dir():
            content.links.append(entry)
        elif name[-4:].lower() == _ARCHIVE:
            content.archives.append(entry)
    return content


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


def _time(changed_ns: int) -> str:
    if not changed_ns:
        return ""
    try:
        return datetime.fromtimestamp(changed_ns / 1e9, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
