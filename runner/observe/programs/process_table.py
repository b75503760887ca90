"""CPU time of every process on this host between two instants, and the names of those that used any.

A process's CPU clock is read without opening a file, about 1 µs for each; files are read only for processes
that used CPU. So a thousand idle processes cost a few milliseconds per reading. In an agent a file is read
for each process, which costs ten times as much.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from runner.core.observed_facts import KERNEL_THREADS
from runner.core.units import Seconds
from runner.observe.processes import is_kernel_thread, name_of, quick_cpu_seconds
from runner.observe.programs.membership import Experiment, ancestors
from runner.observe.roots import proc

MAX_PROCESSES: Final = 32_768
_UNNAMED: Final = "a program that ended"
_IDENTIFIED_S: Final[Seconds] = 0.005
"""CPU time from which a process is identified; less does not affect any result."""


@dataclass(slots=True)
class ProcessUsage:
    """A process outside the experiment, or one that the runner started beside it, that used CPU.

    Attributes:
        family: The highest of its ancestors with the same name, itself included: the master of a worker.
        used_s: CPU time since the first reading of the table.
        is_started_by_runner: Whether it descends from the runner, and so is no stranger.
        named_s: The same when its name was read.
    """

    pid: int
    name: str
    family: int
    used_s: Seconds
    is_started_by_runner: bool = False
    named_s: Seconds = 0.0


@dataclass(slots=True)
class ProcessTable:
    """CPU time of all processes since the first reading.

    Attributes:
        experiment: Its processes are left out.
        begin_s: Time of the first reading, on CLOCK_MONOTONIC; None before it.
        end_s: Time of the latest reading.
        is_complete: False if there were more processes than `MAX_PROCESSES`.
    """

    experiment: Experiment
    begin_s: Seconds | None = None
    end_s: Seconds = 0.0
    is_complete: bool = True
    _base_s: dict[int, Seconds] = field(default_factory=dict)
    _last_s: dict[int, Seconds] = field(default_factory=dict)
    _known: dict[int, ProcessUsage | None] = field(default_factory=dict)
    _ended: list[ProcessUsage] = field(default_factory=list)

    @property
    def length_s(self) -> Seconds:
        """Time between the first reading and the latest one."""
        return self.end_s - self.begin_s if self.begin_s is not None else 0.0

    def read(self) -> None:
        """Read the CPU time of all processes."""
        is_first, self.end_s = self.begin_s is None, time.monotonic()
        self.begin_s = self.end_s if self.begin_s is None else self.begin_s
        now = dict(self._times())
        self.experiment.look_again()
        for pid in self._last_s.keys() - now.keys():
            self._forget(pid)
        for pid, cpu_s in now.items():
            last_s = self._last_s.get(pid)
            if last_s is None or cpu_s < last_s:  # it is new, or its pid was used again
                self._forget(pid)
                self._base_s[pid] = cpu_s if is_first else 0.0
                last_s = self._base_s[pid]
            if cpu_s > last_s:
                self._charge(pid, cpu_s - self._base_s[pid])
        self._last_s = now

    def usages(self) -> list[ProcessUsage]:
        """Return the processes outside the experiment that used CPU, living or ended, the busiest first."""
        living = (usage for usage in self._known.values() if usage is not None)
        return sorted([*living, *self._ended], key=lambda usage: -usage.used_s)

    def _times(self) -> Iterator[tuple[int, Seconds]]:
        with os.scandir(proc()) as entries:
            pids = (int(entry.name) for entry in entries if entry.name.isdecimal())
            for pid in islice(pids, MAX_PROCESSES):
                if (cpu_s := quick_cpu_seconds(pid)) is not None:
                    yield pid, cpu_s
            self.is_complete = self.is_complete and next(pids, None) is None

    def _charge(self, pid: int, used_s: Seconds) -> None:
        """Keep what a process used; its name is read while it lives, again when it has used twice as much."""
        if used_s < _IDENTIFIED_S:
            return
        if pid not in self._known:
            self._known[pid] = self._stranger(pid)
        usage = self._known[pid]
        if usage is not None:
            usage.used_s = used_s
            if used_s >= 2 * usage.named_s:
                usage.name, usage.family = identity_of(pid) or (usage.name, usage.family)
                usage.named_s = used_s

    def _stranger(self, pid: int) -> ProcessUsage | None:
        """Return the usage of a process to begin with, None for a part of the experiment."""
        if self.experiment.includes(pid):
            return None
        return ProcessUsage(pid, _UNNAMED, pid, 0.0, self.experiment.is_started_by_runner(pid))

    def _forget(self, pid: int) -> None:
        usage = self._known.pop(pid, None)
        if usage is not None:
            self._ended.append(usage)


def identity_of(pid: int) -> tuple[str, int] | None:
    """Return the name of a process's program and its family; None if it has ended."""
    if is_kernel_thread(pid):
        return KERNEL_THREADS, pid
    name = name_of(pid)
    if not name:
        return None
    family = pid
    for ancestor in ancestors(pid):
        if name_of(ancestor) != name:
            break
        family = ancestor
    # a name in the process table has at most 15 characters, so that no program has this one
    return ("kernel (program)" if name == KERNEL_THREADS else name), family
