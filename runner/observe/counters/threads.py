"""Threads of one subject: CPU of the busiest one, waits for a processor, and context switches."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, TypeAlias

from runner.core.observed_facts import Subject
from runner.core.units import NS_PER_S, Seconds
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.members import living
from runner.observe.proc_files import read_file, threads
from runner.observe.processes import allowed_cpus, cpu_seconds
from runner.observe.roots import proc

_MIN_INTERVAL_S: Final = 0.5
"""Over a shorter interval, one time slice of a busy thread would look like a full core."""
_ALLOWED_FOR_S: Final[Seconds] = 5.0
_cpus = cache(os.cpu_count)
_Counts: TypeAlias = tuple[int, int]
"""Voluntary and involuntary context switches."""


@dataclass(frozen=True, slots=True)
class _Usage:
    """CPU time of every thread at an instant, and the same with its waits for a processor.

    Attributes:
        process_s: CPU time of every process, with that of threads that have ended.
        waited_s: How long all threads together waited for a processor since the first reading, those included
            that have ended since.
    """

    t_s: Seconds
    cpu_s: dict[int, Seconds]
    runnable_s: dict[int, Seconds]
    process_s: dict[int, Seconds]
    waited_s: Seconds = 0.0


@dataclass(slots=True)
class Threads:
    """CPU of the busiest thread: a saturated thread gains nothing from idle cores.

    A thread that other programs keep from its processor is as saturated as one that runs all the time, but
    looks half idle. How long it was runnable shows that (run delay; Documentation/scheduler/sched-stats.rst).
    `read` returns the highest value since the last reading, `over_all` the highest since the first.
    """

    subject: Subject
    family: str = "threads"
    every_second: bool = True
    _readings: list[_Usage] = field(default_factory=list)
    _allowed: int | None = None
    _allowed_until_s: Seconds = 0.0

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`; a reading soon after another one compares with the one before that."""
        now = self._now()
        earlier = (usage for usage in reversed(self._readings) if now.t_s - usage.t_s >= _MIN_INTERVAL_S)
        base = next(earlier, self._readings[0] if self._readings else now)
        self._readings = [*self._readings[:1], *self._readings[1:][-1:], now]
        return {
            **_highest(base, now),
            "threads.waited_s": Level(round(now.waited_s, 4), "s"),
            "threads.count": gauge(len(now.cpu_s), "threads"),
            "threads.allowed_cpus": gauge(self._allowed_cpus(now.t_s), "CPUs", limit=_cpus()),
        }

    def over_all(self) -> dict[str, Level]:
        """Return the average of the busiest thread since the first reading."""
        return _highest(self._readings[0], self._readings[-1]) if len(self._readings) > 1 else {}

    def _now(self) -> _Usage:
        instant_s = time.monotonic()
        usage = _Usage(instant_s, {}, {}, {})
        for pid in living(self.subject):
            threads_s = 0.0
            for thread, cpu_s, waited_s in threads_of(pid):
                usage.cpu_s[thread] = cpu_s
                usage.runnable_s[thread] = cpu_s + waited_s
                threads_s += cpu_s
            if (process_s := cpu_seconds(pid, threads_s)) is not None:
                usage.process_s[pid] = process_s
        return replace(usage, waited_s=_waited_since(self._readings[-1], usage)) if self._readings else usage

    def _allowed_cpus(self, now_s: Seconds) -> int:
        """Count the CPUs that the subject may use; they rarely change, and are read every few seconds."""
        if self._allowed is None or now_s >= self._allowed_until_s:
            self._allowed, self._allowed_until_s = _allowed(self.subject), now_s + _ALLOWED_FOR_S
        return self._allowed


def _waited_since(before: _Usage, now: _Usage) -> Seconds:
    """Return the total wait; a thread that was not there before has waited for all of its life."""
    grown = (runnable_s - before.runnable_s.get(thread, 0.0) for thread, runnable_s in now.runnable_s.items())
    used = (cpu_s - before.cpu_s.get(thread, 0.0) for thread, cpu_s in now.cpu_s.items())
    return before.waited_s + max(0.0, sum(grown) - sum(used))


def _allowed(subject: Subject) -> int:
    """Count the CPUs that at least one of the subject's processes may use."""
    cpus: set[int] = set()
    for pid in living(subject):
        with suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
            cpus |= allowed_cpus(pid)
    return len(cpus)


def threads_of(pid: int, at_most: int | None = None) -> Iterator[tuple[int, Seconds, Seconds]]:
    """Yield thread id, CPU seconds, and seconds waited for a processor (schedstat, in nanoseconds).

    Nothing is yielded for a process that has ended, or that has more than `at_most` threads.
    """
    try:
        tasks = threads(pid)
    except OSError:
        return
    if at_most is not None and len(tasks) > at_most:
        return
    folder = proc()
    for task in tasks:
        try:
            used, waited, *_ = read_file(f"{folder}/{pid}/task/{task}/schedstat").split()
            yield int(task), int(used) / NS_PER_S, int(waited) / NS_PER_S
        except (OSError, ValueError):
            continue


def _highest(before: _Usage, after: _Usage) -> dict[str, Level]:
    length_s = after.t_s - before.t_s
    return {
        "threads.hottest_cores": gauge(_max_share(before.cpu_s, after.cpu_s, length_s), "cores", limit=1.0),
        "threads.runnable_share": gauge(
            min(1.0, _max_share(before.runnable_s, after.runnable_s, length_s)), "share", limit=1.0
        ),
        "threads.hottest_process_cores": gauge(
            _max_share(before.process_s, after.process_s, length_s), "cores", limit=_cpus()
        ),
    }


def _max_share(before: Mapping[int, Seconds], after: Mapping[int, Seconds], length_s: Seconds) -> float:
    """Return the largest share of the interval that one thread or process used."""
    grown = (seconds - before.get(number, 0.0) for number, seconds in after.items())
    return round(max(grown, default=0.0) / length_s, 4) if length_s > 0 else 0.0


@dataclass(slots=True)
class Switches:
    """Context switches of all threads: voluntary ones (waits) and involuntary ones.

    A thread that ends takes its own counts with it. What was read of it stays, so the sums never decrease.
    """

    subject: Subject
    family: str = "ctx"
    every_second: bool = False
    _before: Mapping[tuple[int, str], _Counts] = field(default_factory=dict)
    _total: _Counts = (0, 0)

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        now = {(pid, task): counts for pid in living(self.subject) for task, counts in _switches_of(pid)}
        for thread, counts in now.items():
            voluntary, involuntary = _grown(self._before.get(thread, (0, 0)), counts)
            self._total = (self._total[0] + voluntary, self._total[1] + involuntary)
        self._before = now
        return {"ctx.voluntary": Level(self._total[0]), "ctx.involuntary": Level(self._total[1])}


def _grown(before: _Counts, now: _Counts) -> _Counts:
    """Return by how much counts rose; lower ones are those of a new thread with an old number."""
    is_same = now[0] >= before[0] and now[1] >= before[1]
    return (now[0] - before[0], now[1] - before[1]) if is_same else now


def _switches_of(pid: int) -> Iterator[tuple[str, _Counts]]:
    """Yield the counts of each thread of a process; nothing for one that has just ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in threads(pid):
            with suppress(FileNotFoundError, ProcessLookupError):
                yield (
                    task,
                    _switches(read_file(f"{proc()}/{pid}/task/{task}/status").decode(errors="replace")),
                )


def _switches(status: str) -> _Counts:
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["voluntary_ctxt_switches"]), int(fields["nonvoluntary_ctxt_switches"])
