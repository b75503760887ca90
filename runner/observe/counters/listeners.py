"""How full the accept queues are, how long they may get, and whom they turned away: as `ss -ltm` shows."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.sock_diag import HEADER_BYTES, attribute, open_in, tcp_sockets

_LISTEN: Final = 1 << 10
_TOLD: Final = struct.Struct("=4x2s46xIIIII")
_SKMEMINFO: Final = 7
_DROPS: Final = struct.Struct("=32xI")


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
            self._socket = open_in(self.pid)
        found: dict[int, _Listener] = {}
        for each in _listening(self._socket):
            if self._is_meant(each):
                before = found.get(each.port)
                found[each.port] = each if before is None else before.beside(each)
        return {name: level for each in found.values() for name, level in each.levels()}

    def _is_meant(self, each: _Listener) -> bool:
        everybody = not self.owners and not self.ports
        return everybody or each.inode in self._inodes or each.port in self.ports

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()


@dataclass(frozen=True, slots=True)
class _Listener:
    """One listening socket: connections that wait, how many may, and those it has turned away."""

    port: int
    waiting: int
    backlog: int
    inode: int
    drops: int | None

    def beside(self, other: _Listener) -> _Listener:
        """Several sockets on one port (SO_REUSEPORT): the fullest one says most, drops add up."""
        fuller = max(self, other, key=lambda each: each.waiting)
        known = self.drops is not None and other.drops is not None
        return replace(fuller, drops=(self.drops or 0) + (other.drops or 0) if known else None)

    def levels(self) -> Iterator[tuple[str, Level | None]]:
        """As counters."""
        drops = None if self.drops is None else Level(self.drops, "connections")
        yield f"tcp.accept_queue.{self.port}", gauge(self.waiting, "connections", limit=self.backlog)
        yield f"tcp.listener_drops.{self.port}", drops


def _listening(diag: socket.socket) -> Iterator[_Listener]:
    """Every listening socket; its drops are the last word of SKMEMINFO (since Linux 4.7)."""
    for data, at, length in tcp_sockets(diag, _LISTEN, more=1 << (_SKMEMINFO - 1)):
        port, _, waiting, backlog, _, inode = _TOLD.unpack_from(data, at + HEADER_BYTES)
        told = attribute(data, at + HEADER_BYTES + _TOLD.size, at + length, _SKMEMINFO) or b""
        drops = _DROPS.unpack_from(told)[0] if len(told) >= _DROPS.size else None
        yield _Listener(int.from_bytes(port, "big"), waiting, backlog, inode, drops)


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
