"""Threads of one subject: the busiest one, the one that wanted a processor most, and who was put aside."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.core.facts import Subject
from runner.core.units import NS_PER_S, Seconds
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.members import living

_LEAST_S: Final = 0.5
"""Over less than this, one turn of a busy thread would pass for a full core."""


@dataclass(frozen=True, slots=True)
class _Used:
    """CPU of every thread at an instant, and the same with its waits for a processor."""

    t_s: Seconds
    cpu_s: Mapping[int, Seconds]
    runnable_s: Mapping[int, Seconds]


@dataclass(slots=True)
class Threads:
    """CPU of every thread, of which the busiest one matters: a full one cannot be helped by idle cores.

    A thread that other programs keep from its processor is as full as one that has it all the time, and
    looks half idle: how long it was runnable shows that (run delay; Documentation/scheduler/sched-stats.rst).
    `read` gives the highest since the last reading, `over_all` the highest since the first.
    """

    subject: Subject
    family: str = "threads"
    always: bool = True
    _readings: list[_Used] = field(default_factory=list)

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`; a reading that comes soon after another looks back to the one before that."""
        now = self._now()
        base = next((it for it in reversed(self._readings) if now.t_s - it.t_s >= _LEAST_S), None)
        base = base or (self._readings[0] if self._readings else now)
        self._readings = [*self._readings[:1], *self._readings[1:][-1:], now]
        return {
            **_highest(base, now),
            "threads.count": gauge(len(now.cpu_s), "threads"),
            "threads.allowed_cpus": gauge(_allowed(self.subject), "CPUs", limit=os.cpu_count()),
        }

    def over_all(self) -> Levels:
        """The busiest thread on average since the first reading."""
        return _highest(self._readings[0], self._readings[-1]) if len(self._readings) > 1 else {}

    def _now(self) -> _Used:
        instant_s = time.monotonic()
        used = [thread for pid in living(self.subject) for thread in _threads(pid)]
        return _Used(
            instant_s,
            {thread: cpu_s for thread, cpu_s, _ in used},
            {thread: cpu_s + waited_s for thread, cpu_s, waited_s in used},
        )


def _allowed(subject: Subject) -> int:
    """How many CPUs its processes may run on together."""
    found: set[int] = set()
    for pid in living(subject):
        with suppress(ProcessLookupError):  # it has ended just now
            found |= os.sched_getaffinity(pid)
    return len(found)


def _threads(pid: int) -> Iterator[tuple[int, Seconds, Seconds]]:
    """Thread id, CPU seconds, and seconds it waited for a processor (schedstat, in nanoseconds)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            used, waited, *_ = (task / "schedstat").read_bytes().split()
            yield int(task.name), int(used) / NS_PER_S, int(waited) / NS_PER_S
        except (OSError, ValueError):
            continue


def _highest(before: _Used, after: _Used) -> Levels:
    length_s = after.t_s - before.t_s
    return {
        "threads.hottest_cores": gauge(_most(before.cpu_s, after.cpu_s, length_s), "cores", limit=1.0),
        "threads.runnable_share": gauge(
            min(1.0, _most(before.runnable_s, after.runnable_s, length_s)), "share", limit=1.0
        ),
    }


def _most(before: Mapping[int, Seconds], after: Mapping[int, Seconds], length_s: Seconds) -> float:
    """The most that one thread had of the time between."""
    grown = (seconds - before.get(thread, 0.0) for thread, seconds in after.items())
    return round(max(grown, default=0.0) / length_s, 4) if length_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Switches:
    """Context switches of all threads: those that waited, and those that were put aside."""

    subject: Subject
    family: str = "ctx"
    always: bool = False

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        waited = pushed = 0
        for pid in living(self.subject):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):  # it has ended just now
                    switched = _switched((task / "status").read_text())
                    waited, pushed = waited + switched[0], pushed + switched[1]
        return {"ctx.voluntary": Level(waited), "ctx.involuntary": Level(pushed)}


def _switched(status: str) -> tuple[int, int]:
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])
