"""Finds all processes that hold a listening socket: a master and the workers that inherited it.

psutil names one owner for each socket, so the kernel's own tables are read.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.stack.listen_table import Listener, listeners

_PROC: Final = Path("/proc")
_SOCKET: Final = "socket:["


@dataclass(frozen=True, slots=True)
class ListeningSockets:
    """The sockets that listen on one port.

    Attributes:
        inodes: Their numbers.
        users: The ids of the users who opened them.
    """

    inodes: frozenset[int]
    users: frozenset[int]


def listening_sockets() -> dict[int, ListeningSockets]:
    """Return port to the sockets that listen on it, in this process's network namespace."""
    found: dict[int, list[Listener]] = {}
    for listener in listeners(_PROC):
        found.setdefault(listener.port, []).append(listener)
    return {
        port: ListeningSockets(frozenset(one.inode for one in same), frozenset(one.user for one in same))
        for port, same in found.items()
    }


def owners(inodes: Collection[int]) -> set[int]:
    """Return the processes that hold one of some sockets, as far as this user may see it."""
    targets = {f"{_SOCKET}{inode}]" for inode in inodes}
    return {
        int(name)
        for name in os.listdir(_PROC)  # noqa: PTH208  (names are all that is needed)
        if name.isdecimal() and _holds(_PROC / name / "fd", targets)
    }


def _holds(folder: Path, targets: Collection[str]) -> bool:
    with suppress(OSError), os.scandir(folder) as descriptors:
        for descriptor in descriptors:
            with suppress(OSError):
                if os.readlink(descriptor.path) in targets:  # noqa: PTH115  (thousands of them)
                    return True
    return False
