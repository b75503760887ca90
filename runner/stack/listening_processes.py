"""Finds the processes that serve a port of this host: owners of the listening sockets, masters and workers.

Processes that were forked share a socket, and psutil names one of them only. With SO_REUSEPORT, each worker
has a socket of its own, and their parent may have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil

from runner.stack.port_owners import listening_sockets, owners


def serving(port: int) -> tuple[int, ...]:
    """Return the roots of the process trees that serve a port, as far as visible, in ascending order.

    A root listens itself, or is the parent of processes that do and runs the same program: the master of
    nginx or the arbiter of gunicorn. Its tree contains all of its workers.
    """
    sockets = listening_sockets().get(port)
    roots = {_root(pid) for pid in owners(sockets.inodes)} if sockets else set()
    return tuple(sorted(pid for pid in roots if not roots & set(_ancestors(pid))))


def _root(pid: int) -> int:
    """Return the highest ancestor that runs the same program, such as a master; else the process itself."""
    for parent in _ancestors(pid):
        if not _same_program(pid, parent):
            break
        pid = parent
    return pid


def _ancestors(pid: int) -> Iterable[int]:
    with suppress(psutil.Error):
        return [process.pid for process in psutil.Process(pid).parents() if process.pid > 1]
    return []


def _same_program(pid: int, parent: int) -> bool:
    """Return whether a process was forked by another one and runs on in its program.

    It has the same command line then, or both have written a title there, such as ``nginx: worker process``.
    """
    with suppress(psutil.Error):
        child, other = psutil.Process(pid), psutil.Process(parent)
        if child.name() != other.name():
            return False
        titles = [" ".join(process.cmdline()) for process in (child, other)]
        return titles[0] == titles[1] or all(title.startswith(f"{child.name()}: ") for title in titles)
    return False
