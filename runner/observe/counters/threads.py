"""Threads of one subject: the busiest one, and who waited or was put aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.facts import Subject
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.members import living
from runner.units import NS_PER_S, Seconds

_LEAST_S: Final = 0.5
"""Over less than this, one turn of a busy thread would pass for a full core."""


@dataclass(frozen=True, slots=True)
class _Used:
    """CPU of every thread at an instant."""

    t_s: Seconds
    cpu_s: dict[int, Seconds]


@dataclass(slots=True)
class Threads:
    """CPU of every thread, of which the busiest one matters: a full one cannot be helped by idle cores.

    `read` gives the busiest since the last reading, `over_all` the busiest since the first.
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
        now = _Used(time.monotonic(), dict(self._used()))
        base = next((it for it in reversed(self._readings) if now.t_s - it.t_s >= _LEAST_S), None)
        base = base or (self._readings[0] if self._readings else now)
        hottest = _hottest(base, now)
        self._readings = [*self._readings[:1], *self._readings[1:][-1:], now]
        return {
            "threads.hottest_cores": gauge(hottest, "cores", limit=1.0),
            "threads.count": gauge(len(now.cpu_s), "threads"),
        }

    def over_all(self) -> Levels:
        """The busiest thread on average since the first reading."""
        if len(self._readings) < 2:
            return {}
        hottest = _hottest(self._readings[0], self._readings[-1])
        return {"threads.hottest_cores": gauge(hottest, "cores", limit=1.0)}

    def _used(self) -> Iterator[tuple[int, Seconds]]:
        for pid in living(self.subject):
            yield from _threads(pid)


def _threads(pid: int) -> Iterator[tuple[int, Seconds]]:
    """Thread id and CPU seconds, in nanoseconds where the kernel keeps them (schedstat)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            yield int(task.name), int((task / "schedstat").read_bytes().split()[0]) / NS_PER_S
        except (OSError, IndexError):
            continue


def _hottest(before: _Used, after: _Used) -> float:
    length = after.t_s - before.t_s
    used = (cpu_s - before.cpu_s.get(thread, 0.0) for thread, cpu_s in after.cpu_s.items())
    return round(max(used, default=0.0) / length, 4) if length > 0 else 0.0


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
