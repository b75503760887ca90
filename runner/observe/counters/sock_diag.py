"""Asking the kernel for its TCP sockets, as `ss` does (sock_diag(7), linux/inet_diag.h).

A sock_diag socket answers for the network namespace it was made in, whoever asks it later.
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
_ASK: Final = struct.Struct("=BBBxI48x")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NUMBER: Final = struct.Struct("=i")
_STEP: Final = struct.Struct("=BBHBBH")
_BUFFER_BYTES: Final = 1 << 16
_LONGEST_S: Final = 1.0

HEADER_BYTES: Final = _HEADER.size
SPORT_AT_LEAST, SPORT_AT_MOST, DPORT_AT_LEAST, DPORT_AT_MOST = 2, 3, 4, 5
Message = tuple[bytes, int, int]
Condition = tuple[int, int, int | None]


def open_in(pid: int) -> socket.socket:
    """A sock_diag socket in the network namespace of a process.

    Raises:
        OSError: The namespace may not be entered.
    """
    return inside(pid, _open)


def _open() -> socket.socket:
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    made.settimeout(_LONGEST_S)
    return made


def tcp_sockets(diag: socket.socket, states: int, *, more: int = 0, only: bytes = b"") -> Iterator[Message]:
    """Every TCP socket, IPv4 and IPv6: a buffer, where in it the kernel's header begins, and its length.

    Args:
        diag: From `open_in`.
        states: Bits of the TCP states that are meant.
        more: Bits of further attributes to tell.
        only: From `conditions`.

    Raises:
        OSError: The kernel refuses.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        ask = _ASK.pack(family, socket.IPPROTO_TCP, more, states)
        if only:
            ask += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(only), _BYTECODE) + only
        diag.send(_HEADER.pack(_HEADER.size + len(ask), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, family, 0) + ask)
        yield from _answer(diag)


def _answer(diag: socket.socket) -> Iterator[Message]:
    while True:
        data, at = diag.recv(_BUFFER_BYTES), 0
        while at < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                (number,) = _NUMBER.unpack_from(data, at + _HEADER.size)
                raise OSError(-number, os.strerror(-number))
            yield data, at, length
            at += (length + 3) & ~3


def conditions(*steps: Condition) -> bytes:
    """The kernel's program (INET_DIAG_BC_*) that picks sockets by their ports.

    Args:
        steps: Operation, port, and which step comes next when it does not hold: an index, the number of
            steps for "take it", or None for "leave it". When it holds, the next step follows.
    """
    size = _STEP.size
    program = b""
    for index, (operation, port, otherwise) in enumerate(steps):
        left = (len(steps) - index) * size
        skip = left + 4 if otherwise is None else (otherwise - index) * size
        program += _STEP.pack(operation, size, skip, 0, 0, port)
    return program


def attribute(data: bytes, at: int, end: int, wanted: int) -> bytes | None:
    """One of a message's attributes; None when this kernel does not give it."""
    while at + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind == wanted:
            return data[at + _ATTRIBUTE.size : at + length]
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None
