"""Connected Unix sockets of a network namespace, by sock_diag(7) (linux/unix_diag.h)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from runner.observe.counters.sock_diag import HEADER_BYTES, attribute, dump
from runner.observe.peers.socket import Connection, Place
from runner.observe.peers.waiting import Inode

_REQUEST: Final = struct.Struct("=BBHIIIII")
_STATES: Final = 1 << 1 | 1 << 10
"""Established and listening."""
_SHOW: Final = 1 | 4 | 16
"""Name, peer, and lengths of queues."""
_MESSAGE: Final = struct.Struct("=BBBxI8x")
_NAME, _PEER, _QUEUES = 0, 2, 4
_CONNECTED: Final = 1
_STREAMS: Final = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
_NUMBER: Final = struct.Struct("=I")
_MAX_PATH: Final = 108


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A Unix socket; an accepted one has the name of the one that listens.

    Attributes:
        peer: Inode of the other end, 0 without one.
    """

    inode: Inode
    name: str
    peer: Inode
    unread_bytes: int
    is_connected: bool


def unix_sockets(diag: socket.socket) -> Iterator[UnixSocket]:
    """Yield the connected and listening sockets of streams in the namespace of a sock_diag socket.

    Raises:
        OSError: The kernel refuses.
    """
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _STATES, 0, _SHOW, 0, 0)
    for data, at, length in dump(diag, request, socket.AF_UNIX):
        begin, end = at + HEADER_BYTES, at + length
        _, kind, state, inode = _MESSAGE.unpack_from(data, begin)
        if kind not in _STREAMS:
            continue
        name, peer, queues = (
            attribute(data, begin + _MESSAGE.size, end, wanted) or b"" for wanted in (_NAME, _PEER, _QUEUES)
        )
        yield UnixSocket(inode, _text(name), _number(peer), _number(queues), state == _CONNECTED)


def opened(sockets: Iterable[UnixSocket]) -> Iterator[Connection]:
    """Yield the connections to named sockets, by the ends that opened them.

    The kernel does not tell when data was last sent or received on a Unix socket.
    """
    by_inode = {one.inode: one for one in sockets if one.is_connected}
    for one in by_inode.values():
        other = by_inode.get(one.peer)
        if other is not None and other.name and not one.name:
            yield Connection(one.inode, Place(other.name, 0), other.unread_bytes)


def _text(name: bytes) -> str:
    """Return a path, or ``@`` and an abstract name; both end before a null byte."""
    text = name[:_MAX_PATH].decode(errors="replace")
    return (f"@{text[1:]}" if text.startswith("\0") else text).split("\0", 1)[0]


def _number(raw: bytes) -> int:
    return int(_NUMBER.unpack_from(raw)[0]) if len(raw) >= _NUMBER.size else 0
