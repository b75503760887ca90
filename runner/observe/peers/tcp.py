"""TCP connections of a network namespace and the ports it listens on, by sock_diag(7)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from runner.observe.counters.sock_diag import (
    HEADER_BYTES,
    SPORT_AT_LEAST,
    SPORT_AT_MOST,
    Condition,
    attribute_place,
    conditions,
    is_attribute,
    tcp_sockets,
)
from runner.observe.peers.socket import Connection, Place, address_of
from runner.observe.peers.waiting import Inode

_ESTABLISHED, _LISTEN = 1 << 1, 1 << 10
_MESSAGE: Final = struct.Struct("=B3x2s2s16s16s16xIIII")
"""Family, ports, addresses, receive and send queue, user and inode (struct inet_diag_msg)."""
_BEFORE_BYTES: Final = HEADER_BYTES + _MESSAGE.size
_INFO: Final = 2
_NOWHERE: Final = slice(0, 0)
_MAX_PORT: Final = 65_535
_MAX_PORTS: Final = 64
MAX_CONNECTIONS: Final = 20_000
"""Of one namespace; further ones are not looked at."""


class Listener(NamedTuple):
    """A listening socket; the address is ``0.0.0.0`` or ``::`` for any."""

    place: Place
    inode: Inode


def listeners(diag: socket.socket) -> Iterator[Listener]:
    """Yield every listening TCP socket of the namespace of a sock_diag socket.

    Raises:
        OSError: The kernel refuses.
    """
    for data, at, _ in tcp_sockets(diag, _LISTEN):
        family, port, _, address, _, _, _, _, inode = _MESSAGE.unpack_from(data, at + HEADER_BYTES)
        yield Listener(Place(_address(family, address), int.from_bytes(port, "big")), inode)


def connections(diag: socket.socket, listening: Iterable[int]) -> Iterator[Connection]:
    """Yield the established connections of a namespace, except the accepted ends of those to some ports.

    Args:
        diag: From `runner.observe.counters.sock_diag.open_in`.
        listening: The ports on which the system under test listens.

    Raises:
        OSError: The kernel refuses.
    """
    program = conditions(*_all_but(sorted(listening)[:_MAX_PORTS]))
    sockets = tcp_sockets(diag, _ESTABLISHED, extensions=1 << (_INFO - 1), program=program)
    offsets = (0, 0)
    for number, (data, at, length) in enumerate(sockets):
        if number < MAX_CONNECTIONS:  # the others are received too: the next list must not begin with them
            info = slice(at + offsets[0], at + offsets[1])
            if not offsets[0] or not is_attribute(data, info, _INFO):
                info = attribute_place(data, at + _BEFORE_BYTES, at + length, _INFO) or _NOWHERE
                offsets = (max(0, info.start - at), max(0, info.stop - at))
            yield _connection(data, at, data[info])


def _connection(data: bytes, at: int, info: bytes) -> Connection:
    family, _, port, _, address, _, queued, _, inode = _MESSAGE.unpack_from(data, at + HEADER_BYTES)
    return Connection(inode, Place(_address(family, address), int.from_bytes(port, "big")), queued, info)


@lru_cache(maxsize=4096)
def _address(family: int, raw: bytes) -> str:
    return address_of(family, raw)


def _all_but(ports: list[int]) -> Iterator[Condition]:
    """Yield conditions that select sockets whose own port is none of these."""
    for index, port in enumerate(ports):
        if port == _MAX_PORT:
            yield SPORT_AT_MOST, port - 1, None
            yield SPORT_AT_MOST, port - 1, None
            continue
        yield SPORT_AT_LEAST, port, 2 * index + 2
        yield SPORT_AT_LEAST, port + 1, None
