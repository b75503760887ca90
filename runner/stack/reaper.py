"""Ends every process of a run, including those that left their group or lost their parent.

A run's processes are found by registration, by process group, by descent, by the run's control group and
by the cookie in their environment, which a process can lose. Standard library only, because the watchdog
process imports this module.
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

from runner.stack import supervisor_process
from runner.stack.control_group import members

COOKIE: Final = "LOADPROOF_RUN"
"""Environment variable that holds the run's id in every process the run starts."""

SUPERVISOR: Final = supervisor_process.NAME

_POLL_INTERVAL_S: Final = 0.02
_KILL_WITHIN_S: Final = 2.0
_EXEC_WAIT_S: Final = 0.002
_EXEC_ATTEMPTS: Final = 25
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
        name: Its name, up to 15 bytes that it can choose.
    """

    pid: int
    started: int
    parent: int
    group: int
    state: str
    name: str

    def __str__(self) -> str:
        printable = "".join(letter if letter.isprintable() else "?" for letter in self.name)
        return f"{printable} (pid {self.pid})"


def look_up(pid: int) -> Process | None:
    """Return the process with this pid, which may be a zombie; None if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    head, _, tail = stat.rpartition(b")")  # the name before it may contain anything
    fields = tail.split()
    if len(fields) < 20:
        return None
    state, parent, group, started = fields[0], fields[1], fields[2], fields[19]
    name = head.partition(b"(")[2].decode(errors="replace")
    return Process(pid, int(started), int(parent), int(group), state.decode(), name)


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


def run_processes(
    run_id: str | None, roots: Mapping[int, int] | None = None, group: Path | None = None
) -> set[Process]:
    """Return every running process of a run, except this process and its ancestors.

    Args:
        run_id: The cookie's value; None ignores cookies.
        roots: Pid to start time of processes known to be the run's. A root that leads a
            process group stands for the whole group, also after its own end.
        group: The run's control group.
    """
    roots = roots or {}
    in_group = members(group)
    table = {process.pid: process for process in running_processes()}
    groups = {pid for pid, started in roots.items() if pid not in table or table[pid].started == started}
    direct = {
        process
        for process in table.values()
        if roots.get(process.pid) == process.started
        or process.group in groups
        or process.pid in in_group
        or (run_id is not None and _cookie(process.pid) == run_id)
    }
    excluded = _ancestry(table)
    return {process for process in _with_descendants(direct, table) if process.pid not in excluded}


def end(
    run_id: str | None,
    roots: Mapping[int, int] | None = None,
    *,
    grace_s: float,
    group: Path | None = None,
) -> bool:
    """End a run's processes: SIGTERM, time to shut down, then SIGKILL until none is left.

    Args:
        run_id: The cookie's value.
        roots: As in `run_processes`.
        grace_s: The longest time between the two signals, in seconds.
        group: As in `run_processes`.

    Returns:
        True when none is left. Takes at most `grace_s` plus two seconds, and never raises.
    """
    known = dict(roots or {})
    terminated = _find(run_id, known, group)
    _send(terminated, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while any(map(is_running, terminated)) and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL_S)
    deadline = time.monotonic() + _KILL_WITHIN_S
    while remaining := _find(run_id, known, group):
        if time.monotonic() > deadline:
            return False
        # A supervisor ends by itself, and until then no orphan leaves it.
        supervisors = {process for process in remaining if process.name == SUPERVISOR}
        _send(remaining - supervisors or supervisors, signal.SIGKILL)
        time.sleep(_POLL_INTERVAL_S)
    return True


def _find(run_id: str | None, known: dict[int, int], group: Path | None) -> set[Process]:
    """Return the run's processes, and add them to `known`, so that their orphans are found later."""
    processes = run_processes(run_id, known, group)
    known.update((process.pid, process.started) for process in processes)
    return processes


def running_processes() -> Iterator[Process]:
    """Yield every process of this machine that runs."""
    for name in os.listdir("/proc"):  # noqa: PTH208  (names are all that is needed)
        if name.isdecimal() and (process := look_up(int(name))) and process.state not in _ENDED_STATES:
            yield process


def own_processes(table: Mapping[int, Process], run_id: str | None) -> set[int]:
    """Return the pids of this process, its ancestors and descendants, and the processes of a run.

    Args:
        table: All processes that run.
        run_id: The run's id; None for no run.
    """
    pids = {process.pid for process in run_processes(run_id)} if run_id else set()
    return pids | _ancestry(table) | {one.pid for one in _with_descendants({table[os.getpid()]}, table)}


def marked_processes() -> list[tuple[Process, str]]:
    """Return the running processes that carry a cookie, with its value, except this process's ancestors."""
    table = {process.pid: process for process in running_processes()}
    excluded = _ancestry(table)
    marked = ((process, _cookie(process.pid)) for process in table.values() if process.pid not in excluded)
    return [(process, run_id) for process, run_id in marked if run_id]


def _cookie(pid: int) -> str | None:
    """Return the run's id in a process's environment; None if it has none that is readable."""
    try:
        environment = _environment(Path(f"/proc/{pid}"))
    except OSError:
        return None
    mark = f"{COOKIE}=".encode()
    values = (entry.removeprefix(mark) for entry in environment.split(b"\0") if entry.startswith(mark))
    return next((value.decode(errors="replace") for value in values), None)


def _environment(folder: Path) -> bytes:
    """Return the environment of the process with this folder in `/proc`; OSError where it cannot be read.

    While the kernel replaces the program (execve), environment and command line are empty for some
    microseconds, more on a busy machine; the command line is there first. A kernel thread has neither at any
    time, and reading its `exe` raises an error.
    """
    is_replaced = False
    for _ in range(_EXEC_ATTEMPTS):
        environment = (folder / "environ").read_bytes()
        if environment or is_replaced:
            break
        is_replaced = bool((folder / "cmdline").read_bytes())
        (folder / "exe").readlink()
        time.sleep(_EXEC_WAIT_S)
    return environment


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
