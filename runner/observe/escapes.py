"""Processes that moved themselves out of the control group of their tree, which no longer counts them.

A process with the right to write to another group's ``cgroup.procs`` can do so. It stays a descendant of the
tree's root or of its supervisor, and is found there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from runner.core.units import Seconds
from runner.observe.cgroups import ControlGroup, group_pids
from runner.observe.processes import cpu_seconds, has_ended, name_of, start_ticks
from runner.observe.trees import supervisor_of, tree_members

_LOOK_EVERY_S: Final[Seconds] = 1.0


class _Escaped(NamedTuple):
    """A process outside the group: its CPU time when it was first seen there, and its title."""

    started: int
    before_s: Seconds
    title: str


@dataclass(slots=True)
class Escapes:
    """The CPU time that members of a tree used outside its group, from when they were first seen there.

    Attributes:
        pid: The root of the tree.
        group: Its control group.
    """

    pid: int
    group: ControlGroup
    _escaped: dict[int, _Escaped] = field(default_factory=dict)
    _used_s: dict[tuple[int, int], Seconds] = field(default_factory=dict)
    _titles: dict[str, None] = field(default_factory=dict)
    _next_look_s: Seconds = 0.0

    def cpu_seconds(self) -> Seconds:
        """Return the CPU time used so far; it never decreases."""
        if (now_s := time.monotonic()) >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_EVERY_S
            self._look()
        for pid, escaped in self._escaped.items():
            own_s = cpu_seconds(pid)
            if own_s is not None and start_ticks(pid) == escaped.started:
                key = (pid, escaped.started)
                self._used_s[key] = max(self._used_s.get(key, 0.0), own_s - escaped.before_s)
        return sum(self._used_s.values())

    def titles(self) -> tuple[str, ...]:
        """Return the processes that were outside, such as ``worker (process 7)``."""
        return tuple(self._titles)

    def _look(self) -> None:
        """Find those that are outside now; one that starts or ends meanwhile is not taken for one."""
        outside = self._outside()
        outside &= self._outside() if outside else outside
        for pid in outside - self._escaped.keys():
            started, before_s = start_ticks(pid), cpu_seconds(pid)
            if started is not None and before_s is not None:
                title = f"{name_of(pid) or 'a process'} (process {pid})"
                self._escaped[pid] = _Escaped(started, before_s, title)
                self._titles[title] = None
        for pid in self._escaped.keys() - outside:  # it has ended, or is back in the group
            del self._escaped[pid]

    def _outside(self) -> set[int]:
        members = {*tree_members(self.pid)} - {supervisor_of(self.pid)} - group_pids(self.group)
        return {pid for pid in members if not has_ended(pid)}
