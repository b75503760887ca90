"""One TCP connection of the generator, and the kernel's own timing of it."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from runner.core.units import Nanoseconds
from runner.load.part import Part
from runner.load.response_parser import Response

SO_TIMESTAMPNS: Final = 35
STAMP: Final = struct.Struct("qq")
unpack_stamp: Final = STAMP.unpack
STAMP_SPACE: Final = socket.CMSG_SPACE(STAMP.size)

IDLE, CONNECTING, SENT, WAITING, LINGERING, CLOSED = range(6)
"""SENT is the common case of WAITING: a reused connection whose request is sent, with no response yet."""

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

RESETS: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""errno of a write to a connection that the peer has closed."""

_INT: Final = struct.Struct("i")
_TCP_INFO_RTT: Final = 68
_TCP_INFO_BYTES: Final = _TCP_INFO_RTT + 4


Ancillary: TypeAlias = list[tuple[int, int, bytes]]


class Connection:
    """One TCP connection and the request on it, if any.

    Attributes:
        reused: Whether the connection has carried a response before.
        part: Which request of the mix it is.
        content: Its bytes.
        user: Whose connection it is; `NO_USER` in the open model.
        measured: Whether the request was due in the measured window.
        response: A response that is not yet complete.
        unsent: The rest of a request that did not fit into the socket's buffer.
        send: The socket's own method; looking it up for every request would cost more than the call.
        receive: Likewise.
    """

    __slots__ = (
        "connected",
        "content",
        "due",
        "fd",
        "measured",
        "part",
        "receive",
        "response",
        "reused",
        "send",
        "sock",
        "started",
        "state",
        "unsent",
        "user",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.SocketType,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        *,
        measured: bool,
        user: int,
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.send: Callable[[bytes], int] = sock.send
        self.receive: Callable[[Sequence[bytearray], int], tuple[int, Any, int, Any]] = sock.recvmsg_into
        self.state = CONNECTING
        self.reused = False
        self.part, self.content, self.measured = part, content, measured
        self.due, self.started, self.connected = due, started, 0
        self.user = user
        self.response: Response | None = None
        self.unsent = b""


def round_trip_ns(sock: socket.SocketType) -> Nanoseconds:
    """Return the kernel's own round-trip time (tcpi_rtt), which right after connecting is the handshake's."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int.from_bytes(info[_TCP_INFO_RTT:], "little") * 1000


def unacknowledged(sock: socket.SocketType) -> int:
    """Return how many bytes were written that the peer's kernel has not acknowledged (SIOCOUTQ).

    The kernel keeps this count when the connection is reset. -1 where it does not tell (a sandbox).
    """
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(_INT.size))
    except OSError:
        return -1
    return int(_INT.unpack(answer)[0])


def keep_kernel_stamping() -> socket.socket | None:
    """Return a socket with timestamps enabled: without any on the host, the kernel stops timestamping.

    None where this kernel (or a sandbox that imitates one) gives no timestamps.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        sock.close()
        return None
    return sock
