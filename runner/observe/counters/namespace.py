"""Network namespaces of other processes: which they are, and asking the kernel from within one.

Most of a namespace shows under `/proc/<pid>/net`. Sockets made in it and its sysctls do not: a thread of
its own enters, does one thing, and ends, so that nothing else of the runner ever leaves home.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

_CLONE_NEWNET: Final = 0x40000000

_Answer = TypeVar("_Answer")


def namespace_of(pid: int | str) -> int | None:
    """What tells a process's network namespace from others; None when there is no such process.

    Every namespace has files of its own under `/proc/<pid>/net`. Unlike `/proc/<pid>/ns/net`, whose number
    it is not, they may be looked at by everybody: by a user's runner at root's containers.
    """
    try:
        return Path(f"/proc/{pid}/net/netstat").stat().st_ino
    except OSError:
        return None


def inside(pid: int, act: Callable[[], _Answer]) -> _Answer:
    """What `act` returns in the network namespace of a process.

    Raises:
        OSError: The namespace may not be entered, or what `act` raised.
    """
    if namespace_of(pid) == namespace_of("self"):
        return act()
    answers: list[_Answer] = []
    faults: list[OSError] = []

    def run() -> None:
        try:
            _enter(pid)
            answers.append(act())
        except OSError as error:
            faults.append(error)

    thread = threading.Thread(target=run, name="loadproof-netns")
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return answers[0]


def _enter(pid: int) -> None:
    """Move the calling thread into a process's namespace (setns(2); `os.setns` is new in Python 3.12)."""
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)
