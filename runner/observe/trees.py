"""A process and everything it started, including processes whose parent has ended, and their CPU time.

Membership is proven, never guessed: by descent, by the small parent that `runner.stack` starts commands below
(it inherits their orphans), or by the session of a root that leads one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from runner.core.units import Seconds
from runner.observe.processes import (
    ProcessTimes,
    ignores_children,
    in_session,
    name_of,
    parent_of,
    process_times,
    session_of,
    with_descendants,
)
from runner.observe.roots import are_foreign

_SUPERVISOR: Final = "loadproof-init"
"""`runner.stack.supervisor_process.NAME`: a parent for one command and all its orphans."""

_LOOK_EVERY_S: Final[Seconds] = 1.0
_MISSING_S: Final[Seconds] = 0.05
"""CPU time that must be missing before a note says so: what was reaped is known in steps of 10 ms."""


def supervisor_of(pid: int) -> int | None:
    """Return the parent that inherits the orphans of a command, None if it has none."""
    parent = parent_of(pid)
    return parent if parent is not None and name_of(parent) == _SUPERVISOR else None


def tree_members(pid: int) -> list[int]:
    """Return a process, its descendants and their orphans, as far as they can be found."""
    supervisor = supervisor_of(pid)
    members = with_descendants([pid] if supervisor is None else [pid, supervisor])
    if supervisor is None:
        return list(members | with_descendants(in_session(pid) if _leads_session(pid) else ()))
    del members[supervisor]
    return list(members)


@dataclass(slots=True)
class TreeTimes:
    """The CPU time of a tree.

    Living processes are read by their own clocks. The time of a child that has ended is part of what its
    parent has reaped. A child without a waiting parent keeps its last known time: the rest is lost, and so is
    all time of such a child that lived between two readings only.
    """

    pid: int
    _supervisor: int | None = None
    _known: dict[int, ProcessTimes] = field(default_factory=dict)
    _reaped_before: dict[int, Seconds] = field(default_factory=dict)
    _ended_s: dict[int, Seconds] = field(default_factory=dict)
    _lost_s: Seconds = 0.0
    _highest_s: Seconds = 0.0
    _next_look_s: Seconds = 0.0
    _losing: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._supervisor = supervisor_of(self.pid)

    def read(self) -> tuple[Seconds | None, list[int]]:
        """Return the CPU time since the root started, None without living processes, and the living ones."""
        now = self._living()
        living = [pid for pid in now if pid != self._supervisor]
        if not living:
            return None, []
        self._settle(now)
        self._known = now
        for pid, times in now.items():
            self._reaped_before.setdefault(pid, times.reaped_s)
        used = sum(times.reaped_s + times.own_s for times in now.values())
        missing = sum(self._missing_s(pid) for pid in self._ended_s)
        self._highest_s = max(self._highest_s, used + missing + self._lost_s)
        return self._highest_s, living

    def losing(self) -> tuple[str, ...]:
        """Return the processes whose ended children are not all counted, such as ``worker (process 7)``.

        Processes of one name are one entry, such as ``worker (12 processes)``.
        """
        for pid in self._ended_s:
            if self._missing_s(pid) > _MISSING_S:
                self._losing.setdefault(pid, _name(pid))
        pids: dict[str, list[int]] = {}
        for pid, name in self._losing.items():
            pids.setdefault(name, []).append(pid)
        return tuple(_title(name, same) for name, same in pids.items())

    def _living(self) -> dict[int, ProcessTimes]:
        """Return the living members; a member stays one when its parent changes."""
        pids = with_descendants([self.pid] if self._supervisor is None else [self._supervisor, self.pid])
        if (now_s := time.monotonic()) >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_EVERY_S
            if self._supervisor is None and _leads_session(self.pid):
                pids |= with_descendants(in_session(self.pid))
            ignoring = {pid for pid in pids if ignores_children(pid)}  # children inherit it
            self._losing |= {pid: _name(pid) for pid in ignoring if parent_of(pid) not in ignoring}
        orphans = [pid for pid, times in self._known.items() if pid not in pids and _is_alive(pid, times)]
        pids |= with_descendants(orphans)
        now = {pid: times for pid in pids if (times := process_times(pid)) is not None}
        if self._supervisor in now:
            supervisor = now[self._supervisor]
            now[self._supervisor] = ProcessTimes(
                supervisor.parent, supervisor.started, 0.0, supervisor.reaped_s
            )
        return now

    def _settle(self, now: dict[int, ProcessTimes]) -> None:
        """Charge what ended processes had used to the closest ancestor that lives, if there is one."""
        ended = {
            pid: times
            for pid, times in self._known.items()
            if pid not in now or now[pid].started != times.started
        }
        for pid, times in ended.items():
            heir = times.parent
            while heir in ended:
                heir = ended[heir].parent
            used = times.own_s + times.reaped_s
            if heir in now:
                self._ended_s[heir] = self._ended_s.get(heir, 0.0) + used
            else:
                self._lost_s += used
            self._lost_s += self._missing_s(pid)
        for pid in ended:
            self._reaped_before.pop(pid, None)
            self._ended_s.pop(pid, None)

    def _missing_s(self, pid: int) -> Seconds:
        """Return what ended children of a process had used beyond what it has reaped."""
        reaped = self._known[pid].reaped_s - self._reaped_before.get(pid, 0.0)
        return max(0.0, self._ended_s.get(pid, 0.0) - reaped)


def _leads_session(pid: int) -> bool:
    """Return whether others may be known by the session of a process.

    On another machine only containers are looked at: what leaves its parent descends from the first one.
    """
    return not are_foreign() and session_of(pid) == pid


def _is_alive(pid: int, times: ProcessTimes) -> bool:
    now = process_times(pid)
    return now is not None and now.started == times.started


def _name(pid: int) -> str:
    return name_of(pid) or "a process"


def _title(name: str, pids: Sequence[int]) -> str:
    return f"{name} (process {pids[0]})" if len(pids) == 1 else f"{name} ({len(pids)} processes)"
