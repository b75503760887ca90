"""Lists the kernel's TCP sockets, as `ss` does (sock_diag(7), linux/inet_diag.h).

A sock_diag socket lists the network namespace in which it was created, whichever thread uses it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from runner.observe.counters.namespace import inside

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_DONE: Final = 3
_ERROR: Final = 2
_BYTECODE: Final = 1
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBBxI48x")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NUMBER: Final = struct.Struct("=i")
_STEP: Final = struct.Struct("=BBHBBH")
_BUFFER_BYTES: Final = 1 << 16
_TIMEOUT_S: Final = 1.0

HEADER_BYTES: Final = _HEADER.size
SPORT_AT_LEAST, SPORT_AT_MOST, DPORT_AT_LEAST, DPORT_AT_MOST = 2, 3, 4, 5
Message = tuple[bytes, int, int]
Condition = tuple[int, int, int | None]


def open_in(pid: int) -> socket.socket:
    """Return a sock_diag socket in the network namespace of a process.

    Raises:
        OSError: The namespace may not be entered.
    """
    return inside(pid, _open)


def _open() -> socket.socket:
    diag = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    diag.settimeout(_TIMEOUT_S)
    return diag


def tcp_sockets(
    diag: socket.socket, states: int, *, extensions: int = 0, program: bytes = b""
) -> Iterator[Message]:
    """Yield every TCP socket, IPv4 and IPv6: a buffer, the offset of the kernel's header, and its length.

    Args:
        diag: From `open_in`.
        states: Bits of the TCP states to list.
        extensions: Bits of further attributes to include.
        program: From `conditions`.

    Raises:
        OSError: The kernel refuses.
        ValueError: It sends something else than messages.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, extensions, states)
        if program:
            request += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(program), _BYTECODE) + program
        yield from dump(diag, request, family)


def dump(diag: socket.socket, request: bytes, number: int) -> Iterator[Message]:
    """Yield what the kernel lists for a request, all of which must be taken before the next request.

    Args:
        diag: From `open_in`.
        request: One of linux/sock_diag.h.
        number: Of the request; any.

    Raises:
        OSError: The kernel refuses.
        ValueError: It sends something else than messages.
    """
    size = _HEADER.size + len(request)
    diag.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, number, 0) + request)
    yield from _messages(diag)


def _messages(diag: socket.socket) -> Iterator[Message]:
    while True:
        data, at = diag.recv(_BUFFER_BYTES), 0
        while at < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if length < _HEADER.size:
                raise ValueError("a message without a header")
            if kind == _DONE:
                return
            if kind == _ERROR:
                (number,) = _NUMBER.unpack_from(data, at + _HEADER.size)
                raise OSError(-number, os.strerror(-number))
            yield data, at, length
            at += (length + 3) & ~3


def conditions(*steps: Condition) -> bytes:
    """Return a program for the kernel (INET_DIAG_BC_*) that selects sockets by their ports.

    Args:
        steps: Operation, port, and the step that follows if the operation is false: an index, the number of
            steps to accept the socket, or None to reject it. If it is true, the next step follows.
    """
    size = _STEP.size
    program = b""
    for index, (operation, port, otherwise) in enumerate(steps):
        left = (len(steps) - index) * size
        skip = left + 4 if otherwise is None else (otherwise - index) * size
        program += _STEP.pack(operation, size, skip, 0, 0, port)
    return program


def attribute(data: bytes, at: int, end: int, wanted: int) -> bytes | None:
    """Return one of a message's attributes, None if this kernel does not provide it."""
    place = attribute_place(data, at, end, wanted)
    return None if place is None else data[place]


def attribute_place(data: bytes, at: int, end: int, wanted: int) -> slice | None:
    """Return where one of a message's attributes is, None if this kernel does not provide it."""
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind == wanted:
            return slice(at + _ATTRIBUTE.size, at + length)
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None


def is_attribute(data: bytes, place: slice, wanted: int) -> bool:
    """Return whether one of a message's attributes is where it was in another message."""
    at = place.start - _ATTRIBUTE.size
    return place.stop <= len(data) and _ATTRIBUTE.unpack_from(data, at) == (place.stop - at, wanted)
