"""How full the accept queues are, how long they may get, and whom they turned away: as `ss -ltm` shows.

The backlog is known to the kernel's sock_diag alone, which answers for the namespace its socket was made
in; once made, it may be asked from anywhere.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.namespace import inside

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_ERROR: Final = 2
_LISTEN: Final = 1 << 10
_HEADER: Final = struct.Struct("=IHHII")
_ASK: Final = struct.Struct("=BBBxI48x")
_TOLD: Final = struct.Struct("=4x2s46xIIIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_SKMEMINFO: Final = 7
_DROPS: Final = struct.Struct("=32xI")
_NUMBER: Final = struct.Struct("=i")
_BUFFER_BYTES: Final = 1 << 16


@dataclass(slots=True)
class Listeners:
    """Listening TCP sockets of one namespace.

    Attributes:
        scope: The namespace's.
        pid: A process in it.
        owners: Processes whose sockets are meant.
        ports: Further ports that are meant, whoever listens. Without owners and ports every socket is.
    """

    scope: str
    pid: int
    owners: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    family: str = "tcp.accept_queue"
    always: bool = True
    _socket: socket.socket | None = None
    _inodes: frozenset[int] = field(default_factory=frozenset)

    def read(self) -> Levels:
        """See `Source`."""
        if self._socket is None:
            self._inodes = frozenset(inode for owner in self.owners for inode in socket_inodes(owner))
            self._socket = inside(self.pid, _socket)
        found: dict[int, _Listener] = {}
        for each in _listening(self._socket):
            if not self._is_meant(each):
                continue
            before = found.get(each.port)
            found[each.port] = each if before is None else before.beside(each)
        return {name: level for port, each in found.items() for name, level in each.levels(port)}

    def _is_meant(self, each: _Listener) -> bool:
        everybody = not self.owners and not self.ports
        return everybody or each.inode in self._inodes or each.port in self.ports

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    made.settimeout(1.0)
    return made


@dataclass(frozen=True, slots=True)
class _Listener:
    """One listening socket: connections that wait, how many may, and those it has turned away."""

    port: int
    waiting: int
    backlog: int
    inode: int
    drops: int

    def beside(self, other: _Listener) -> _Listener:
        """Several sockets on one port (SO_REUSEPORT): the fullest one says most, drops add up."""
        fuller = max(self, other, key=lambda each: each.waiting)
        return replace(fuller, drops=self.drops + other.drops)

    def levels(self, port: int) -> Iterator[tuple[str, Level]]:
        """As counters."""
        yield f"tcp.accept_queue.{port}", gauge(self.waiting, "connections", limit=self.backlog)
        yield f"tcp.listener_drops.{port}", Level(self.drops, "connections")


def _listening(diag: socket.socket) -> Iterator[_Listener]:
    """Every listening TCP socket (sock_diag(7)); its drops are the last word of SKMEMINFO."""
    for family in (socket.AF_INET, socket.AF_INET6):
        ask = _ASK.pack(family, socket.IPPROTO_TCP, 1 << (_SKMEMINFO - 1), _LISTEN)
        diag.send(_HEADER.pack(_HEADER.size + len(ask), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, family, 0) + ask)
        ended = False
        while not ended:
            data, at = diag.recv(_BUFFER_BYTES), 0
            while at < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind == _ERROR:
                    (number,) = _NUMBER.unpack_from(data, at + _HEADER.size)
                    raise OSError(-number, os.strerror(-number))
                if kind == _DONE:
                    ended = True
                    break
                port, _, waiting, backlog, _, inode = _TOLD.unpack_from(data, at + _HEADER.size)
                attributes = data[at + _HEADER.size + _TOLD.size : at + length]
                yield _Listener(int.from_bytes(port, "big"), waiting, backlog, inode, _drops(attributes))
                at += (length + 3) & ~3


def _drops(attributes: bytes) -> int:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _SKMEMINFO and length >= _ATTRIBUTE.size + _DROPS.size:
            return int(_DROPS.unpack_from(attributes, at + _ATTRIBUTE.size)[0])
        at += max(4, (length + 3) & ~3)
    return 0


def socket_inodes(pid: int) -> Collection[int]:
    """Inodes of the sockets a process holds; none when it has ended.

    Raises:
        PermissionError: Its files may not be seen.
    """
    found = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                target = link.readlink().name
                if target.startswith("socket:["):
                    found.add(int(target[8:-1]))
    return found
