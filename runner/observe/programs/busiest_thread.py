"""How much of a process's CPU its busiest thread used: a program with one full thread can do no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from runner.core.units import Seconds
from runner.observe.counters.threads import threads_of
from runner.observe.processes import cpu_seconds

_MAX_THREADS: Final = 1_000
"""A process with more is not looked at: no thread of it is likely to be full, and reading takes 15 ms."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """CPU time of a process and of each of its threads."""

    process_s: Seconds
    threads_s: Mapping[int, Seconds]


@dataclass(slots=True)
class BusiestThreads:
    """The share of the busiest thread in the CPU of some processes, from when each was first read."""

    _first: dict[int, _Reading | None] = field(default_factory=dict)
    _shares: dict[int, float] = field(default_factory=dict)

    def read(self, pids: Iterable[int], *, again: bool) -> None:
        """Read the threads of some processes: those that were never read, or, at the end, `again`."""
        for pid in pids:
            if pid not in self._first:
                self._first[pid] = reading = _read(pid)
                if reading is not None and len(reading.threads_s) == 1:
                    self._shares[pid] = 1.0
            elif again:
                self._compare(pid)

    def share(self, pid: int) -> float | None:
        """Return the share of the busiest thread, 0 to 1; None where it was not read twice."""
        return self._shares.get(pid)

    def _compare(self, pid: int) -> None:
        before, after = self._first[pid], _read(pid)
        if before is None or after is None or after.process_s <= before.process_s:
            return
        used = (seconds - before.threads_s.get(thread, 0.0) for thread, seconds in after.threads_s.items())
        share = max(used, default=0.0) / (after.process_s - before.process_s)
        self._shares[pid] = min(1.0, max(0.0, share))


def _read(pid: int) -> _Reading | None:
    process_s = cpu_seconds(pid)
    threads = {thread: cpu_s for thread, cpu_s, _ in threads_of(pid, _MAX_THREADS)}
    return _Reading(process_s, threads) if process_s is not None and threads else None
