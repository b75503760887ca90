"""All runs below a folder as rows of a list, newest first; what was read is kept in a cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from runner.core.errors import UsageError
from runner.core.units import Seconds
from runner.store.run_candidate import Candidate, unmeasured
from runner.store.run_index_cache import load, save
from runner.store.run_index_scan import Scan, scan
from runner.store.run_summary import RunState, RunSummary

if TYPE_CHECKING:  # a server starts without them
    from runner.core.results import Results

_UNREAD: Final = RunState.UNREAD
_RUNNING: Final = RunState.RUNNING
_AGAIN_S: Final[Seconds] = 10.0
"""After so long the list asks again whether the runner of a run in progress still exists."""


class RunIndex:
    """The runs of one folder. Reads nothing by itself: the caller decides when, and in which process.

    Attributes:
        folder: Below which the runs are.
        version: Grows with every change of the rows.
        is_partial: Whether the folder has more entries than are looked at.
        has_looked: Whether the rows are those of the folder; else they are those of the last time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 0
        self.is_partial = False
        self.has_looked = False
        self._read_at: dict[str, Seconds] = {}
        self._rows, self._settled = load(folder)
        self._candidates: dict[str, Candidate] = {}
        self._waiting: set[str] = set()
        self._is_saved = True
        self._sorted: tuple[int, list[RunSummary]] = (-1, [])

    def look(self) -> Scan:
        """Return what is in the folder now, for `take`; changes nothing, so any thread may do it.

        Raises:
            UsageError: The folder cannot be read.
        """
        try:
            return scan(self.folder, self._rows, self._settled)
        except OSError as error:
            raise UsageError(
                f"cannot read the folder {self.folder}: {error.strerror}",
                hint="give a folder with runs, such as reports",
            ) from None

    def take(self, found: Scan, *, again: bool = True) -> None:
        """Take over which runs there are, which have changed, and which are gone.

        Args:
            found: What `look` has returned.
            again: Whether runs in progress are to be read again although that was done not long ago. They
                write every second; whether one was killed is all that reading it again can show.
        """
        before = self._rows
        if not self.has_looked:
            self.has_looked = True
            self.version += 1
        self.is_partial = found.is_partial
        if len(found.settled) > len(self._settled):
            self._is_saved = False
        self._settled = found.settled
        self._candidates = {candidate.path: candidate for candidate in found.candidates}
        self._rows = {
            path: _known(before.get(path), candidate) for path, candidate in self._candidates.items()
        }
        self._waiting = {
            path
            for path, candidate in self._candidates.items()
            if _is_old(self._rows[path], candidate) and (again or not self._was_just_read(path))
        }
        if self._rows != before:
            self._changed()

    def waiting(self) -> list[Candidate]:
        """Return what has to be read, newest first; a run in progress may have ended since it was read."""
        candidates = [self._candidates[path] for path in self._waiting]
        return sorted(candidates, key=lambda candidate: candidate.changed_ns, reverse=True)

    @property
    def has_waiting(self) -> bool:
        """Whether anything has to be read."""
        return bool(self._waiting)

    @property
    def unread(self) -> int:
        """How many runs have no row with numbers yet because they were not read."""
        return sum(row.state is _UNREAD for row in self._rows.values())

    def put(self, rows: Iterable[RunSummary]) -> None:
        """Take what was read; a row of what is gone or has changed meanwhile is dropped."""
        for row in rows:
            candidate = self._candidates.get(row.path)
            if candidate is None or candidate.key != row.key:
                continue
            self._waiting.discard(row.path)
            self._read_at[row.path] = time.monotonic()
            if self._rows[row.path] != row:
                self._rows[row.path] = row
                self._changed()

    def _was_just_read(self, path: str) -> bool:
        """Return whether a run in progress was read not long ago, and has no other files since."""
        row, read_at = self._rows[path], self._read_at.get(path)
        is_same = row.state is RunState.RUNNING and row.key == self._candidates[path].key
        return is_same and read_at is not None and time.monotonic() < read_at + _AGAIN_S

    def get(self, path: str) -> RunSummary | None:
        """Return the row of a path; None if there is none, so that no other path is ever opened."""
        return self._rows.get(path)

    @property
    def rows(self) -> Sequence[RunSummary]:
        """All rows, newest first."""
        version, rows = self._sorted
        if version != self.version:
            rows = sorted(self._rows.values(), key=lambda row: (row.started_at, row.path), reverse=True)
            self._sorted = self.version, rows
        return rows

    def save(self) -> None:
        """Write the cache if something has changed since."""
        if not self._is_saved:
            self._is_saved = True
            save(self.folder, self._rows, self._settled)

    def _changed(self) -> None:
        self.version += 1
        self._is_saved = False


def _known(row: RunSummary | None, candidate: Candidate) -> RunSummary:
    """Return the row as far as it is known; of what will not be read, why."""
    if row is None:
        return unmeasured(candidate, candidate.state, candidate.problem)
    return row if row.archive == candidate.archive else replace(row, archive=candidate.archive)


def _is_old(row: RunSummary, candidate: Candidate) -> bool:
    return row.key != candidate.key or row.state is _UNREAD or row.state is _RUNNING


def list_runs(
    folder: Path,
    read_archive: Callable[[Path], Results],
    on_progress: Callable[[int, int], object] | None = None,
) -> Sequence[RunSummary]:
    """Return the runs below a folder, newest first, and everything there that looks like one.

    Args:
        folder: Contains runs, in folders of any depth, or is one.
        read_archive: Returns the results in an archive, or raises why it must not be shown.
        on_progress: Receives how many of the runs that have to be read were, after each.

    Raises:
        UsageError: The folder cannot be read.
    """
    index = RunIndex(folder)
    index.take(index.look())
    try:
        if waiting := index.waiting():
            _read(index, waiting, read_archive, on_progress)
    finally:
        index.save()
    return index.rows


def _read(
    index: RunIndex,
    waiting: Sequence[Candidate],
    read_archive: Callable[[Path], Results],
    on_progress: Callable[[int, int], object] | None,
) -> None:
    from runner.store.run_index_read import summarize  # noqa: PLC0415  (most lists have no news)

    for done, candidate in enumerate(waiting, start=1):
        index.put([summarize(index.folder, candidate, read_archive)])
        if on_progress:
            on_progress(done, len(waiting))
