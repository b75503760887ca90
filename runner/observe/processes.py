"""CPU time and memory of processes, as exact as the kernel keeps them.

`/proc/<pid>/stat` rounds CPU time to 10 ms. The same counter is readable in nanoseconds, and faster, as a
POSIX clock of the other process. `/proc` is read only for start times, children, and the CPU of reaped ones.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from runner.core.units import Bytes, Seconds

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_REAPED_USER, _REAPED_SYSTEM, _START = 15, 16, 21


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is no such process."""
    fields = _stat(pid)
    return int(fields[_START]) if fields else None


def cpu_seconds(pid: int) -> Seconds | None:
    """Return the CPU time of all threads of a process, user and system, without its children.

    The clock id is the kernel's encoding of another process's CPU clock (clock_getcpuclockid(3)).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def reaped_seconds(pid: int) -> Seconds:
    """Return the CPU time of all descendants that ended and were reaped; 0 if there is no such process."""
    fields = _stat(pid)
    return (int(fields[_REAPED_USER]) + int(fields[_REAPED_SYSTEM])) / _TICKS_PER_S if fields else 0.0


def resident_bytes(pid: int) -> Bytes | None:
    """Return the resident memory; pages shared with other processes count in each of them."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None


def children(pid: int) -> list[int]:
    """Return the live children of all threads of a process; empty if there is no such process."""
    pids: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            pids += map(int, (thread / "children").read_bytes().split())
    except OSError:
        pass
    return pids


def descendants(pid: int) -> list[int]:
    """Return a process and all its descendants, parents before children."""
    pids = [pid]
    for parent in pids:
        pids += children(parent)
    return pids


def _stat(pid: int) -> list[bytes] | None:
    """Return the fields of `/proc/<pid>/stat`, numbered from 0 with the command's name as field 1."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    head, _, tail = text.rpartition(b")")
    return [head, b"", *tail.split()] if tail else None
