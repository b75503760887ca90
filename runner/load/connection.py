"""One TCP connection of the generator, and what the kernel says about it."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from runner.core.units import Nanoseconds
from runner.load.response_parser import Answer

SO_TIMESTAMPNS: Final = 35
STAMP: Final = struct.Struct("qq")
unpack_stamp: Final = STAMP.unpack
STAMP_SPACE: Final = socket.CMSG_SPACE(STAMP.size)

IDLE, CONNECTING, ASKED, WAITING, LINGERING, CLOSED = range(6)
"""ASKED is the common case of WAITING: kept, its request wholly sent, and nothing has come yet."""

FAILURES: Final = {
    errno.ECONNREFUSED: "connect_refused",
    errno.EHOSTUNREACH: "connect_refused",
    errno.ENETUNREACH: "connect_refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EADDRNOTAVAIL: "no_port",
    errno.EAGAIN: "no_port",
    errno.EMFILE: "no_fd",
    errno.ENFILE: "no_fd",
    errno.ENOBUFS: "no_fd",
    errno.ENOMEM: "no_fd",
}
"""errno to failure kind."""

_TCP_INFO_RTT: Final = 68
_TCP_INFO_BYTES: Final = _TCP_INFO_RTT + 4


Ancillary: TypeAlias = list[tuple[int, int, bytes]]


class Connection:
    """One TCP connection and the request on it, if any.

    Attributes:
        reused: The connection has carried an answer before.
        measured: The request was due in the measured window.
        answer: What has arrived of an answer that is not yet whole.
        unsent: What is left of a request that did not fit into the socket's buffer.
        send: The socket's own method; looking it up for every request would cost more than the call.
        receive: Likewise.
    """

    __slots__ = (
        "answer", "connected", "due", "fd", "measured", "receive", "reused", "send", "sock", "started",
        "state", "unsent",
    )  # fmt: skip

    def __init__(
        self, sock: socket.SocketType, due: Nanoseconds, started: Nanoseconds, *, measured: bool
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.send: Callable[[bytes], int] = sock.send
        self.receive: Callable[[Sequence[bytearray], int], tuple[int, Any, int, Any]] = sock.recvmsg_into
        self.state = CONNECTING
        self.reused = False
        self.measured = measured
        self.due, self.started, self.connected = due, started, 0
        self.answer: Answer | None = None
        self.unsent = b""


def round_trip_ns(sock: socket.SocketType) -> Nanoseconds:
    """The kernel's own round-trip time (tcpi_rtt): right after connecting, that of the handshake."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int.from_bytes(info[_TCP_INFO_RTT:], "little") * 1000


def keep_kernel_stamping() -> socket.socket | None:
    """A socket that wants stamps: with none left on the host, the kernel stops stamping at all.

    None where this kernel (or a sandbox that plays one) gives no stamps.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        sock.close()
        return None
    return sock
