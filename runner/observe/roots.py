"""Where procfs and sysfs are mounted that show the machine to observe.

The runner observes the machine on which it runs. An agent runs in a container without any privilege, and sees
its machine in ``/host/proc`` and ``/host/sys``. Processes have other numbers there than in the agent's system
calls, so that everything must come from files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Roots:
    """Two mount points.

    Attributes:
        proc: Of procfs.
        sys: Of sysfs; control groups are below its ``fs/cgroup``.
        are_foreign: Whether `proc` numbers processes in another way than system calls of this process do.
    """

    proc: str = "/proc"
    sys: str = "/sys"
    are_foreign: bool = False


OWN: Final = Roots()
NODE: Final = Roots("/host/proc", "/host/sys", are_foreign=True)
"""In an agent's container."""
_CURRENT: ContextVar[Roots] = ContextVar("roots", default=OWN)


@contextmanager
def observing(roots: Roots) -> Iterator[None]:
    """Make readers use other roots within the block, and in the tasks and threads that trio starts there."""
    token = _CURRENT.set(roots)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def are_foreign() -> bool:
    """Return whether processes have other numbers than in system calls of this process."""
    return _CURRENT.get().are_foreign


def proc() -> str:
    """Return where procfs is mounted."""
    return _CURRENT.get().proc


def sys() -> str:
    """Return where sysfs is mounted."""
    return _CURRENT.get().sys


def own_pid() -> int:
    """Return the number of this process in `proc`."""
    return int(os.readlink(f"{proc()}/self")) if are_foreign() else os.getpid()  # noqa: PTH115


def network_of_machine() -> int:
    """Return a process in the machine's network namespace: this one, or the first of another machine."""
    return 1 if are_foreign() else os.getpid()
