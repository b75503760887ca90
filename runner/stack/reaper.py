"""Ends every process of a run, including those that left their group or lost their parent.

A run's processes are found by registration, by process group, by descent and by the cookie in
their environment. Standard library only, because the watchdog process imports this module.
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

_POLL_INTERVAL_S: Final = 0.02
_KILL_WITHIN_S: Final = 2.0
_ENDED_STATES: Final = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the process table.

    Attributes:
        pid: Its number, which the kernel reuses.
        started: Clock ticks since boot; together with `pid` it identifies one process for ever.
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
    """Return the process with this pid, which may be a zombie; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()  # the name before it may contain anything
    if len(fields) < 20:
        return None
    state, parent, group, started = fields[0], fields[1], fields[2], fields[19]
    return Process(pid, int(started), int(parent), int(group), state.decode())


def start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None if there is none."""
    process = look_up(pid)
    return process.started if process else None


def is_running(process: Process) -> bool:
    """Return whether this very process still runs; a zombie does not."""
    current = look_up(process.pid)
    return current is not None and current.started == process.started and current.state not in _ENDED_STATES


def live_start_ticks(pid: int) -> int | None:
    """Return when the process started, in clock ticks since boot; None if it is gone or a zombie."""
    process = look_up(pid)
    return process.started if process and process.state not in _ENDED_STATES else None


def run_processes(run_id: str | None, roots: Mapping[int, int] | None = None) -> set[Process]:
    """Return every running process of a run, except this process and its ancestors.

    Args:
        run_id: The cookie's value; None ignores cookies.
        roots: Pid to start time of processes known to be the run's. A root that leads a
            process group stands for the whole group, also after its own end.
    """
    roots = roots or {}
    table = {process.pid: process for process in _table()}
    groups = {pid for pid, started in roots.items() if pid not in table or table[pid].started == started}
    direct = {
        process
        for process in table.values()
        if roots.get(process.pid) == process.started
        or process.group in groups
        or (run_id is not None and _has_cookie(process.pid, run_id))
    }
    excluded = _ancestry(table)
    return {process for process in _with_descendants(direct, table) if process.pid not in excluded}


def end(run_id: str | None, roots: Mapping[int, int] | None = None, *, grace_s: float) -> bool:
    """End a run's processes: SIGTERM, time to shut down, then SIGKILL until none is left.

    Args:
        run_id: The cookie's value.
        roots: As in `run_processes`.
        grace_s: The longest time between the two signals, in seconds.

    Returns:
        True when none is left. Takes at most `grace_s` plus two seconds, and never raises.
    """
    known = dict(roots or {})
    terminated = _find(run_id, known)
    _send(terminated, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(map(is_running, terminated)) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)
    deadline = time.monotonic() + _KILL_WITHIN_S
    while remaining := _find(run_id, known):
        if time.monotonic() > deadline:
            return False
        _send(remaining, signal.SIGKILL)
        time.sleep(_POLL_INTERVAL_S)
    return True


def _find(run_id: str | None, known: dict[int, int]) -> set[Process]:
    """Return the run's processes, and add them to `known`, so that their orphans are found later."""
    processes = run_processes(run_id, known)
    known.update((process.pid, process.started) for process in processes)
    return processes


def _table() -> Iterator[Process]:
    for name in os.listdir("/proc"):  # noqa: PTH208  (names are all that is needed)
        if name.isdecimal() and (process := look_up(int(name))) and process.state not in _ENDED_STATES:
            yield process


def _has_cookie(pid: int, run_id: str) -> bool:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{COOKIE}={run_id}".encode() in environment.split(b"\0")


def _with_descendants(processes: set[Process], table: Mapping[int, Process]) -> set[Process]:
    pids = {process.pid for process in processes}
    grown = True
    while grown:
        children = {process.pid for process in table.values() if process.parent in pids}
        grown = not children <= pids
        pids |= children
    return {table[pid] for pid in pids}


def _ancestry(table: Mapping[int, Process]) -> set[int]:
    pid: int | None = os.getpid()
    ancestry: set[int] = set()
    while pid is not None and pid not in ancestry:
        ancestry.add(pid)
        pid = table[pid].parent if pid in table else None
    return ancestry


def _send(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        if is_running(process):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
