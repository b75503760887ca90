"""Finds and ends processes that killed runs left behind, by the records of these runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.core.errors import StackFailed
from runner.stack import reaper
from runner.stack.run_record import RunRecord, conclude, read_records

WATCHDOG: Final = "runner.stack.watchdog_process"

_GRACE_S: Final = 1.0


def end_leftovers(*, everything: bool = False) -> list[str]:
    """End the processes that dead runs of this user left behind. Blocks for up to three seconds a run.

    A process is ended only if it is the one that a record names (pid and start time), descends from it, is in
    the run's control group, or carries the run's id in its environment.

    Args:
        everything: Also end the processes of runs that are still alive.

    Returns:
        What was done, such as ``ended nginx (pid 12)``.

    Raises:
        StackFailed: Some processes cannot be ended.
    """

    def is_due(record: RunRecord) -> bool:
        return record.here and (everything or record.owner_is_gone)

    ended, stubborn = _end_where(is_due)
    if stubborn:
        raise StackFailed(
            f"these processes of earlier runs cannot be ended: {', '.join(stubborn)}",
            hint="run `runner clean` as root, or end them with `kill -9 PID`",
        )
    return [f"ended {process}" for process in ended]


def unrecorded() -> list[str]:
    """Return a sentence for each process that carries the id of a run without a record and a watchdog.

    Nothing proves that such a run is over, so the process is left to the user.
    """
    known = {record.run_id for record in read_records()} | _watched_runs()
    return [
        f"{process} belongs to the run {run_id}, which has no record of this user: "
        f"if that run is over, end it with `kill {process.pid}`"
        for process, run_id in reaper.marked_processes()
        if run_id not in known and process.name != reaper.SUPERVISOR
    ]


def _watched_runs() -> set[str]:
    """Return the runs that have a watchdog: they are alive, or are being cleaned up."""
    runs: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if WATCHDOG in words[:-1]:
                runs.add(words[words.index(WATCHDOG) + 1])
    return runs


def _end_where(is_due: Callable[[RunRecord], bool]) -> tuple[list[str], list[str]]:
    """Return what was ended, and what could not be ended."""
    ended: list[str] = []
    stubborn: list[str] = []
    for record in read_records():
        if record.expired:
            record.path.unlink(missing_ok=True)
        elif is_due(record):
            processes = _processes(record)
            left = [] if _end(record) else [process for process in processes if reaper.is_running(process)]
            stubborn += map(str, left)
            ended += [str(process) for process in processes if process not in left]
    return ended, stubborn


def _processes(record: RunRecord) -> list[reaper.Process]:
    """Return the running processes of a run, without the small parents that Loadproof adds."""
    processes = reaper.run_processes(record.run_id, _live_roots(record), record.group)
    return sorted(
        (process for process in processes if process.name != reaper.SUPERVISOR),
        key=lambda process: process.pid,
    )


def _end(record: RunRecord) -> bool:
    ended = reaper.end(record.run_id, _live_roots(record), grace_s=_GRACE_S, group=record.group)
    if ended and record.owner_is_gone:
        conclude(record.path, record.group)
    return ended


def _live_roots(record: RunRecord) -> dict[int, int]:
    """Return the roots that still run: the pid of another one may belong to a stranger by now."""
    return {pid: started for pid, started in record.roots.items() if reaper.live_start_ticks(pid) == started}
