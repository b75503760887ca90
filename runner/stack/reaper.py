"""Ends every process of a run, also those that left their group or lost their parent.

A run's processes are known by registration, by process group, by descent and by the
cookie in their environment. Standard library only: the watchdog starts through here.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COOKIE: Final = "LOADPROOF_RUN"
"""Environment variable that holds the run's id in every process the run starts."""

_POLL_S: Final = 0.02
_KILL_WITHIN_S: Final = 2.0
_GONE: Final = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the process table.

    Attributes:
        pid: Its number, which the kernel gives out again.
        started: Clock ticks since boot; with `pid` it names one process for good.
        parent: Its parent's pid.
        group: Its process group.
        state: One letter, ``Z`` for a zombie.
    """

    pid: int
    started: int
    parent: int
    group: int
    state: str


def look_up(pid: int) -> Process | None:
    """The process with this pid, a zombie included, or None."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()  # the name before it may hold anything
    if len(fields) < 20:
        return None
    state, parent, group, started = fields[0], fields[1], fields[2], fields[19]
    return Process(pid, int(started), int(parent), int(group), state.decode())


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is none."""
    process = look_up(pid)
    return process.started if process else None


def is_running(process: Process) -> bool:
    """Whether this very process still runs; a zombie does not."""
    now = look_up(process.pid)
    return now is not None and now.started == process.started and now.state not in _GONE


def belongings(run_id: str | None, roots: Mapping[int, int] | None = None) -> set[Process]:
    """Every running process of a run, this one and its ancestors excepted.

    Args:
        run_id: The cookie's value; None looks at no cookies.
        roots: Pid to start time of processes known to be the run's. A root that leads a
            process group stands for the whole group, also after its own end.
    """
    roots = roots or {}
    table = {process.pid: process for process in _table()}
    groups = {pid for pid, started in roots.items() if pid not in table or table[pid].started == started}
    found = {
        process
        for process in table.values()
        if roots.get(process.pid) == process.started
        or process.group in groups
        or (run_id is not None and _carries(process.pid, run_id))
    }
    spared = _lineage(table)
    return {process for process in _with_descendants(found, table) if process.pid not in spared}


def end(run_id: str | None, roots: Mapping[int, int] | None = None, *, grace_s: float) -> bool:
    """End a run's processes: SIGTERM, a while to leave in order, then SIGKILL until none is left.

    Args:
        run_id: The cookie's value.
        roots: As in `belongings`.
        grace_s: Seconds between the two signals at most.

    Returns:
        Whether nothing is left. Takes at most `grace_s` plus two seconds, and never raises.
    """
    known = dict(roots or {})
    asked = _look(run_id, known)
    _send(asked, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(map(is_running, asked)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    deadline = time.monotonic() + _KILL_WITHIN_S
    while remaining := _look(run_id, known):
        if time.monotonic() > deadline:
            return False
        _send(remaining, signal.SIGKILL)
        time.sleep(_POLL_S)
    return True


def _look(run_id: str | None, known: dict[int, int]) -> set[Process]:
    """The run's processes; `known` remembers them for when their parents are gone."""
    found = belongings(run_id, known)
    known.update((process.pid, process.started) for process in found)
    return found


def _table() -> Iterator[Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208  (names are all that is needed)
        if name.isdecimal() and (process := look_up(int(name))) and process.state not in _GONE:
            yield process


def _carries(pid: int, run_id: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{COOKIE}={run_id}".encode() in environment.split(b"\0")


def _with_descendants(found: set[Process], table: Mapping[int, Process]) -> set[Process]:
    pids = {process.pid for process in found}
    grown = True
    while grown:
        children = {process.pid for process in table.values() if process.parent in pids}
        grown = not children <= pids
        pids |= children
    return {table[pid] for pid in pids}


def _lineage(table: Mapping[int, Process]) -> set[int]:
    pid: int | None = os.getpid()
    lineage: set[int] = set()
    while pid is not None and pid not in lineage:
        lineage.add(pid)
        pid = table[pid].parent if pid in table else None
    return lineage


def _send(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        if is_running(process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
