"""Something in a folder that may be a run, and its row in the list while it has no numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from runner.experiment.suggestions import harmless
from runner.store.run_summary import Key, RunState, RunSummary

_MAX_TEXT: Final = 300


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


def _time(changed_ns: int) -> str:
    if not changed_ns:
        return ""
    try:
        return datetime.fromtimestamp(changed_ns / 1e9, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""
