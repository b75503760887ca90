"""CPU time and memory of processes, read from the kernel as exactly as it keeps them.

`/proc/<pid>/stat` rounds CPU time to 10 ms. The same counter is readable in nanoseconds
as a POSIX clock of the other process, at less cost; `/proc` is asked only for what no
clock tells: start times, children, and the CPU of children that have been reaped.
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
    """When a process started, in clock ticks since boot; None when there is no such process."""
    fields = _stat(pid)
    return int(fields[_START]) if fields else None


def cpu_seconds(pid: int) -> Seconds | None:
    """CPU time of all threads of a process, user and system, its children not included.

    The clock id is the kernel's encoding of another process's CPU clock (clock_getcpuclockid(3)).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def reaped_seconds(pid: int) -> Seconds:
    """CPU time of all descendants that ended and were waited for; 0 when there is no such process."""
    fields = _stat(pid)
    return (int(fields[_REAPED_USER]) + int(fields[_REAPED_SYSTEM])) / _TICKS_PER_S if fields else 0.0


def resident_bytes(pid: int) -> Bytes | None:
    """Resident memory; pages shared with other processes count in each of them."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None


def children(pid: int) -> list[int]:
    """The live children of every thread of a process; empty when there is no such process."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_bytes().split())
    except OSError:
        pass
    return found


def descendants(pid: int) -> list[int]:
    """A process and everything below it, parents before children."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def _stat(pid: int) -> list[bytes] | None:
    """Fields of `/proc/<pid>/stat`, numbered from 0 with the command's name as field 1."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    head, _, tail = text.rpartition(b")")
    return [head, b"", *tail.split()] if tail else None
