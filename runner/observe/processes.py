"""CPU time and memory of processes, as exact as the kernel keeps them.

`/proc/<pid>/stat` rounds CPU time to 10 ms. The same counter is readable in nanoseconds, and faster, as a
POSIX clock of the other process, unless that has another number here (see `runner.observe.roots`). `/proc` is
read for everything else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from runner.core.units import NS_PER_S, Bytes, Seconds
from runner.observe.proc_files import read_file, threads
from runner.observe.roots import are_foreign, proc

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_ENDED: Final = (b"Z", b"X")
_STATE = 2
_BLOCKED = 41
_PARENT, _SESSION, _FLAGS = 3, 5, 8
_USER, _SYSTEM, _REAPED_USER, _REAPED_SYSTEM, _THREADS, _START = 13, 14, 15, 16, 19, 21
_KERNEL_THREAD: Final = 0x00200000  # PF_KTHREAD (include/linux/sched.h)
_MAX_EXACT_THREADS: Final = 8
"""With more, steps of 10 ms matter less than the time to read all of them."""
_SIGCHLD_BIT: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """CPU time of one process.

    Attributes:
        parent: Its parent's pid.
        started: In clock ticks since boot.
        own_s: Used by its threads.
        reaped_s: Used by all descendants that ended and were waited for, in steps of 10 ms.
    """

    parent: int
    started: int
    own_s: Seconds
    reaped_s: Seconds


def process_times(pid: int) -> ProcessTimes | None:
    """Return the CPU time of a process, None if there is no such process."""
    # Children first: one that ends between the two readings is missing in this sample, and not counted twice.
    fields = _stat(pid)
    own_s = cpu_seconds(pid)
    if fields is None or own_s is None:
        return None
    reaped_s = (int(fields[_REAPED_USER]) + int(fields[_REAPED_SYSTEM])) / _TICKS_PER_S
    return ProcessTimes(int(fields[_PARENT]), int(fields[_START]), own_s, reaped_s)


def start_ticks(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is no such process."""
    fields = _stat(pid)
    return int(fields[_START]) if fields else None


def has_ended(pid: int) -> bool:
    """Return whether there is no such process, or only a zombie, which is in no control group any more."""
    fields = _stat(pid)
    return fields is None or fields[_STATE] in _ENDED


def cpu_seconds(pid: int, threads_s: Seconds | None = None) -> Seconds | None:
    """Return the CPU time of all threads of a process, user and system, without its children.

    The clock id is the kernel's encoding of another process's CPU clock (clock_getcpuclockid(3)). From files,
    it may be up to 20 ms lower than before after a thread has ended.

    Args:
        pid: The process.
        threads_s: The CPU time of its living threads if that has just been read: files are not read again.
    """
    if are_foreign():
        return _cpu_seconds_of_threads(pid, threads_s)
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def quick_cpu_seconds(pid: int) -> Seconds | None:
    """Return the same from at most one file, and then in steps of 10 ms; it never decreases."""
    if not are_foreign():
        return cpu_seconds(pid)
    fields = _stat(pid)
    return _rounded_cpu_seconds(fields) if fields else None


def _cpu_seconds_of_threads(pid: int, threads_s: Seconds | None) -> Seconds | None:
    """Add up living threads, in nanoseconds; the process's rounded time has those that have ended."""
    fields = _stat(pid)
    if fields is None:
        return None
    if threads_s is not None:
        return max(threads_s, _rounded_cpu_seconds(fields))
    folder = f"{proc()}/{pid}"
    exact_ns = 0
    if int(fields[_THREADS]) > _MAX_EXACT_THREADS:
        return _rounded_cpu_seconds(fields)
    try:
        names = [""] if fields[_THREADS] == b"1" else [f"/task/{thread}" for thread in threads(pid)]
        for name in names:
            exact_ns += int(read_file(f"{folder}{name}/schedstat").split()[0])
    except (OSError, ValueError, IndexError):
        pass  # a thread has just ended
    return max(exact_ns / NS_PER_S, _rounded_cpu_seconds(fields))


def _rounded_cpu_seconds(fields: list[bytes]) -> Seconds:
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S


def allowed_cpus(pid: int) -> set[int]:
    """Return the CPUs that a process may use.

    Raises:
        OSError: There is no such process.
    """
    if not are_foreign():
        return os.sched_getaffinity(pid)
    line = next(line for line in _status(pid) if line.startswith("Cpus_allowed_list:"))
    ranges = (part.partition("-") for part in line.partition(":")[2].strip().split(","))
    return {cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)}


def resident_bytes(pid: int) -> Bytes | None:
    """Return the resident memory; pages shared with other processes count in each of them."""
    try:
        return int(read_file(f"{proc()}/{pid}/statm").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return None


def children(pid: int) -> list[int]:
    """Return the live children of all threads of a process; empty if there is no such process."""
    pids: list[int] = []
    try:
        for thread in threads(pid):
            pids += map(int, read_file(f"{proc()}/{pid}/task/{thread}/children").split())
    except OSError:
        pass
    return pids


def with_descendants(roots: Iterable[int]) -> dict[int, None]:
    """Return some processes and all their descendants, each once."""
    pids = dict.fromkeys(roots)
    waiting = list(pids)
    while waiting:
        new = [child for child in children(waiting.pop()) if child not in pids]
        pids |= dict.fromkeys(new)
        waiting += new
    return pids


def blocked_seconds(pid: int) -> Seconds | None:
    """Return how long a process waited for block I/O, None if there is no such process."""
    fields = _stat(pid)
    return int(fields[_BLOCKED]) / _TICKS_PER_S if fields and len(fields) > _BLOCKED else None


def name_of(pid: int) -> str:
    """Return the name of a process in the process table, at most 15 characters; empty if it has ended."""
    try:
        return read_file(f"{proc()}/{pid}/comm").decode(errors="replace").strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int | None:
    """Return the pid of a process's parent, None if there is no such process."""
    fields = _stat(pid)
    return int(fields[_PARENT]) if fields else None


def is_kernel_thread(pid: int) -> bool:
    """Return whether a process is a thread of the kernel; False if there is no such process."""
    fields = _stat(pid)
    return fields is not None and bool(int(fields[_FLAGS]) & _KERNEL_THREAD)


def ignores_children(pid: int) -> bool:
    """Return whether a process ignores SIGCHLD: the CPU time of its ended children is then lost."""
    try:
        ignored = next((line for line in _status(pid) if line.startswith("SigIgn:")), "SigIgn: 0")
    except OSError:
        return False
    return bool(int(ignored.split()[1], 16) & _SIGCHLD_BIT)


def is_in_nested_namespace(pid: int) -> bool:
    """Return whether a process has another number in a process namespace below that of `/proc`.

    See NSpid in proc_pid_status(5). False if there is no such process.
    """
    try:
        return any(line.startswith("NSpid:") and len(line.split()) > 2 for line in _status(pid))
    except OSError:
        return False


def in_session(session: int) -> list[int]:
    """Return the processes of a session."""
    return [pid for pid in process_ids() if session_of(pid) == session]


def process_ids() -> list[int]:
    """Return all processes."""
    return [int(name) for name in os.listdir(proc()) if name.isdecimal()]  # noqa: PTH208  (only names)


def session_of(pid: int) -> int | None:
    """Return the session of a process, which is its leader's pid; None if there is no such process."""
    if are_foreign():
        fields = _stat(pid)
        return int(fields[_SESSION]) if fields else None
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _status(pid: int) -> list[str]:
    """Return the lines of `/proc/<pid>/status`."""
    return read_file(f"{proc()}/{pid}/status").decode(errors="replace").splitlines()


def _stat(pid: int) -> list[bytes] | None:
    """Return the fields of `/proc/<pid>/stat`, numbered from 0 with the command's name as field 1."""
    try:
        text = read_file(f"{proc()}/{pid}/stat")
    except OSError:
        return None
    head, _, tail = text.rpartition(b")")
    fields = [head, b"", *tail.split()]
    return fields if len(fields) > _START else None
