"""Network namespaces of other processes: identifying one, and running a function in one.

Most of a namespace is visible under `/proc/<pid>/net`. Sockets made in it and its sysctls are not: a separate
thread enters the namespace, runs one function and ends, so that the runner's other threads stay in theirs.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from runner.observe.roots import proc

_CLONE_NEWNET: Final = 0x40000000

_Result = TypeVar("_Result")


def namespace_of(pid: int | str) -> int | None:
    """Return an identifier of a process's network namespace, None if there is no such process.

    It is the inode of a file under `/proc/<pid>/net`. Unlike `/proc/<pid>/ns/net`, that file is visible to
    every user, so a user's runner can identify the namespaces of root's containers.
    """
    try:
        return Path(f"{proc()}/{pid}/net/netstat").stat().st_ino
    except OSError:
        return None


def inside(pid: int, function: Callable[[], _Result]) -> _Result:
    """Return the result of a function that runs in the network namespace of a process.

    Raises:
        OSError: The namespace may not be entered, or the function raised it.
    """
    if namespace_of(pid) == namespace_of("self"):
        return function()
    entrance = f"{proc()}/{pid}/ns/net"
    results: list[_Result] = []
    faults: list[OSError] = []

    def run() -> None:
        try:
            _enter(entrance)
            results.append(function())
        except OSError as error:
            faults.append(error)

    thread = threading.Thread(target=run, name="loadproof-netns")
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return results[0]


def _enter(entrance: str) -> None:
    """Move the calling thread into a namespace (setns(2); `os.setns` is new in Python 3.12)."""
    handle = os.open(entrance, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)
