"""How long the parts of a system waited for disks, from samples of their threads.

Most kernels neither account the delays of processes nor measure pressure by default. But they show at any
time which threads wait without being interruptible (state D of proc_pid_stat(5)), and how many on the whole
host wait for I/O (procs_blocked of proc_stat(5)).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Final

from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns
from runner.observe.clock import sleep_until
from runner.observe.counters.level import Level, Levels
from runner.observe.counters.members import living, processes
from runner.observe.proc_files import read_file, threads
from runner.observe.roots import proc

NAME: Final = "io.sampled_wait_s"
"""For about how long at least one thread waited, in every scope; it grows with the samples."""
_LIST_EVERY_S: Final[Seconds] = 1.0
_MAX_COST: Final = 0.005
"""Share of a core that all samples together may use; the interval grows until it is kept."""
_MAX_THREADS: Final = 1_000
_GOLDEN_RATIO: Final = (5**0.5 - 1) / 2
_WAITS: Final = b"D"


@dataclass(slots=True)
class IoWaits:
    """Samples which parts have a thread that waits for a disk.

    Args:
        subjects: The parts.
        window: The trial's parts.
        every_s: Average time between two samples.
    """

    subjects: Sequence[Subject]
    window: Window
    every_s: Seconds = 0.05
    _waited_s: dict[str, Seconds] = field(default_factory=dict, init=False)
    _host_s: Seconds = field(default=0.0, init=False)
    _states: dict[str, list[str]] = field(default_factory=dict, init=False)
    _listed_ns: Nanoseconds = field(default=0, init=False)

    async def watch(self) -> None:
        """Take samples until the window ends; never raises for what cannot be read."""
        last_ns = self.window.measure_ns
        for number in count():
            begin_s = time.thread_time()
            self.sample((time.monotonic_ns() - last_ns) / NS_PER_S)
            last_ns = time.monotonic_ns()
            next_ns = last_ns + _pause_ns(self.every_s, time.thread_time() - begin_s, number)
            if next_ns >= self.window.end_ns:
                return
            await sleep_until(next_ns)

    def sample(self, interval_s: Seconds) -> None:
        """Add the time since the last sample to those that wait now."""
        if not _blocked_threads():
            return
        self._host_s += interval_s
        self._list_threads()
        for name, states in self._states.items():
            if any(map(_waits, states)):
                self._waited_s[name] = self._waited_s.get(name, 0.0) + interval_s

    def _list_threads(self) -> None:
        """List the threads of all parts, if that was not done within the last second."""
        now_ns = time.monotonic_ns()
        if self._states and now_ns < self._listed_ns + ns(_LIST_EVERY_S):
            return
        self._listed_ns = now_ns
        self._states = {one.name: list(islice(_states(one), _MAX_THREADS)) for one in self.subjects}

    def of_host(self) -> Levels:
        """Return for how long any thread of the host waited."""
        return {NAME: Level(round(self._host_s, 4), "s")}

    def of_part(self, part: Subject) -> Levels:
        """Return for how long a part waited.

        Raises:
            ProcessLookupError: It has ended.
        """
        living(part)
        return {NAME: Level(round(self._waited_s.get(part.name, 0.0), 4), "s")}


def _pause_ns(every_s: Seconds, cost_s: Seconds, number: int) -> Nanoseconds:
    """Return a pause that varies by a third, so that no period of the system agrees with the samples."""
    varied = 2 / 3 + 2 / 3 * (number * _GOLDEN_RATIO % 1)
    return ns(max(every_s, cost_s / _MAX_COST) * varied)


def _blocked_threads() -> int:
    """Return how many threads of the host wait for I/O; 0 where the kernel does not say."""
    with suppress(OSError, ValueError, IndexError):
        return int(read_file(f"{proc()}/stat").rpartition(b"procs_blocked ")[2].split()[0])
    return 0


def _states(subject: Subject) -> Iterator[str]:
    """Yield the file with the state of each thread."""
    for pid in processes(subject):
        with suppress(OSError):  # it has just ended
            yield from (f"{proc()}/{pid}/task/{thread}/stat" for thread in threads(pid))


def _waits(stat: str) -> bool:
    with suppress(OSError):  # it has just ended
        return read_file(stat).rpartition(b") ")[2][:1] == _WAITS
    return False
