"""Length and limit of accept queues, and the connections they dropped: what `ss -ltm` shows."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import fmean
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.sock_diag import HEADER_BYTES, attribute, open_in, tcp_sockets
from runner.observe.roots import proc

_LISTEN: Final = 1 << 10
_MAX_FILES: Final = 200_000
_MESSAGE: Final = struct.Struct("=4x2s46xIIIII")
_SKMEMINFO: Final = 7
_DROPS: Final = struct.Struct("=32xI")


@dataclass(slots=True)
class Listeners:
    """Listening TCP sockets of one namespace.

    Attributes:
        scope: The namespace's.
        pid: A process in it.
        owners: Processes whose sockets are read.
        ports: Further ports to read, whichever process listens. Without owners and ports all sockets are.
    """

    scope: str
    pid: int
    owners: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    family: str = "tcp.accept_queue"
    every_second: bool = True
    _socket: socket.socket | None = None
    _inodes: frozenset[int] = field(default_factory=frozenset)
    _waited: dict[str, list[float]] = field(default_factory=dict)
    """Queue to its length at every reading."""

    def read(self) -> Levels:
        """See `Source`."""
        if self._socket is None:
            self._inodes = frozenset(inode for owner in self.owners for inode in socket_inodes(owner))
            self._socket = open_in(self.pid)
        listeners: dict[int, _Listener] = {}
        for listener in _listening(self._socket):
            if self._is_watched(listener):
                other = listeners.get(listener.port)
                listeners[listener.port] = listener if other is None else other.merge(listener)
        levels = {name: level for listener in listeners.values() for name, level in listener.levels()}
        for name, level in levels.items():
            if level is not None and level.kind == "gauge":
                self._waited.setdefault(name, []).append(level.value)
        return levels

    def over_all(self) -> dict[str, Level]:
        """Return the average length of each queue over all readings."""
        return {name: gauge(fmean(lengths), "connections") for name, lengths in self._waited.items()}

    def _is_watched(self, listener: _Listener) -> bool:
        all_are = not self.owners and not self.ports
        return all_are or listener.inode in self._inodes or listener.port in self.ports

    def close(self) -> None:
        """Close the netlink socket."""
        if self._socket is not None:
            self._socket.close()


@dataclass(frozen=True, slots=True)
class _Listener:
    """One listening socket: waiting connections, their limit, and dropped ones."""

    port: int
    waiting: int
    backlog: int
    inode: int
    drops: int | None

    def merge(self, other: _Listener) -> _Listener:
        """Combine sockets on one port (SO_REUSEPORT): the fullest queue, and the sum of drops."""
        fuller = max(self, other, key=lambda listener: listener.waiting)
        known = self.drops is not None and other.drops is not None
        return replace(fuller, drops=(self.drops or 0) + (other.drops or 0) if known else None)

    def levels(self) -> Iterator[tuple[str, Level | None]]:
        """Yield its counters."""
        drops = None if self.drops is None else Level(self.drops, "connections")
        yield f"tcp.accept_queue.{self.port}", gauge(self.waiting, "connections", limit=self.backlog)
        yield f"tcp.listener_drops.{self.port}", drops


def _listening(diag: socket.socket) -> Iterator[_Listener]:
    """Yield every listening socket; its drops are the last word of SKMEMINFO (since Linux 4.7)."""
    for data, at, length in tcp_sockets(diag, _LISTEN, extensions=1 << (_SKMEMINFO - 1)):
        port, _, waiting, backlog, _, inode = _MESSAGE.unpack_from(data, at + HEADER_BYTES)
        memory = attribute(data, at + HEADER_BYTES + _MESSAGE.size, at + length, _SKMEMINFO) or b""
        drops = _DROPS.unpack_from(memory)[0] if len(memory) >= _DROPS.size else None
        yield _Listener(int.from_bytes(port, "big"), waiting, backlog, inode, drops)


def socket_inodes(pid: int) -> Collection[int]:
    """Return the inodes of a process's sockets; none if it has ended.

    Raises:
        PermissionError: Its files are hidden.
    """
    inodes = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        folder = f"{proc()}/{pid}/fd"
        for name in islice(os.listdir(folder), _MAX_FILES):  # noqa: PTH208  (paths cost more than reading)
            with suppress(FileNotFoundError):
                target = os.readlink(f"{folder}/{name}")  # noqa: PTH115
                if target.startswith("socket:["):
                    inodes.add(int(target[8:-1]))
    return inodes
