"""How full the accept queues are, against how long they may get: what `ss -lt` shows.

The backlog is known to the kernel's sock_diag alone, which answers for the namespace its socket was made
in. A thread of its own enters the namespace, makes the socket, and ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Levels, gauge

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_ERROR: Final = 2
_LISTEN: Final = 1 << 10
_CLONE_NEWNET: Final = 0x40000000
_HEADER: Final = struct.Struct("=IHHII")
_ASK: Final = struct.Struct("=BBBxI48x")
_TOLD: Final = struct.Struct("=4x2s46xIIIII")
_BUFFER_BYTES: Final = 1 << 16


@dataclass(slots=True)
class Listeners:
    """Listening TCP sockets of one namespace.

    Attributes:
        scope: The namespace's.
        pid: A process in it.
        owners: Processes whose sockets are meant; empty for every socket of the namespace.
    """

    scope: str
    pid: int
    owners: tuple[int, ...] = ()
    family: str = "tcp.accept_queue"
    always: bool = True
    _socket: socket.socket | None = None
    _inodes: frozenset[int] = field(default_factory=frozenset)

    def read(self) -> Levels:
        """See `Source`."""
        if self._socket is None:
            self._socket = _socket_in(self.pid)
            self._inodes = frozenset(inode for owner in self.owners for inode in socket_inodes(owner))
        found: dict[str, tuple[int, int]] = {}
        for port, waiting, backlog, inode in _listening(self._socket):
            if self.owners and inode not in self._inodes:
                continue
            before = found.get(f"tcp.accept_queue.{port}", (0, 0))
            # several sockets on one port (SO_REUSEPORT): the fullest one says most
            found[f"tcp.accept_queue.{port}"] = max(before, (waiting, backlog))
        return {name: gauge(waiting, "connections", limit=most) for name, (waiting, most) in found.items()}

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()


def _socket_in(pid: int) -> socket.socket:
    """A sock_diag socket in the network namespace of a process.

    Raises:
        OSError: The namespace may not be entered.
    """
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            if not _same_namespace(pid):
                _enter(pid)
            made.append(
                socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
            )
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make, name="loadproof-netns")
    thread.start()
    thread.join()
    (result,) = made
    if isinstance(result, OSError):
        raise result
    result.settimeout(1.0)
    return result


def _same_namespace(pid: int) -> bool:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino == Path("/proc/self/ns/net").stat().st_ino


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


def _listening(diag: socket.socket) -> Iterator[tuple[int, int, int, int]]:
    """Port, connections that wait, backlog and inode of every listening TCP socket (sock_diag(7))."""
    for family in (socket.AF_INET, socket.AF_INET6):
        ask = _ASK.pack(family, socket.IPPROTO_TCP, 0, _LISTEN)
        diag.send(_HEADER.pack(_HEADER.size + len(ask), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, family, 0) + ask)
        ended = False
        while not ended:
            data, at = diag.recv(_BUFFER_BYTES), 0
            while at < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind in {_DONE, _ERROR}:
                    ended = True
                    break
                port, _, waiting, backlog, _, inode = _TOLD.unpack_from(data, at + _HEADER.size)
                yield int.from_bytes(port, "big"), waiting, backlog, inode
                at += (length + 3) & ~3


def socket_inodes(pid: int) -> Collection[int]:
    """Inodes of the sockets a process holds."""
    found = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = link.readlink().name
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return found
