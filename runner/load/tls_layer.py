"""TLS between HTTP and a socket: OpenSSL works in memory, this module on the socket."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from runner.load.exchange import BUFFER_BYTES

READ_BYTES: Final = BUFFER_BYTES // 2
"""How much is read at once: decrypted, it fits into the buffer even behind an unfinished record."""


class Truncated(OSError):  # noqa: N818  (a fact about the peer, not an error of ours)
    """The peer closed without TLS's close_notify: the data may be incomplete."""


class TlsLayer:
    """The TLS side of one connection; `send` and `receive` take the place of the socket's methods.

    Args:
        sock: Connected, or about to be.
        tls: A new TLS object.
        incoming: What `tls` reads from.
        outgoing: What `tls` writes to.
        space: Receive buffer; all connections of a worker may share it.

    Attributes:
        pending: Encrypted bytes that the socket has not accepted yet.
        request_bytes: Length of the last request, encrypted.
        closed: Whether the peer has sent close_notify.
    """

    __slots__ = (
        "_incoming",
        "_outgoing",
        "_read",
        "_receive",
        "_secure",
        "_sock",
        "_space",
        "_tls",
        "closed",
        "pending",
        "request_bytes",
    )

    def __init__(
        self,
        sock: socket.SocketType,
        tls: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        space: memoryview,
    ) -> None:
        self._sock, self._receive = sock, sock.recvmsg_into
        self._tls, self._incoming, self._outgoing = tls, incoming, outgoing
        self._read: Callable[[int, memoryview], Any] = tls.read
        self._space = space
        self._secure = self.closed = False
        self.pending = b""
        self.request_bytes = 0

    def handshake(self) -> bool:
        """Continue the handshake as far as the received bytes allow; returns whether it is over.

        Its last message is sent together with the request.

        Raises:
            ssl.SSLError: The handshake has failed.
            OSError: The connection has failed.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        except ssl.SSLError:
            with suppress(OSError):
                self.flush()  # sends the alert
            raise
        self._secure = True
        return True

    def receive_handshake(self) -> None:
        """Receive bytes of the handshake.

        Raises:
            BlockingIOError: There are none.
            Truncated: The peer has closed the connection.
        """
        count = self._sock.recv_into(self._space)
        if not count:
            raise Truncated
        self._incoming.write(self._space[:count])

    def send(self, data: bytes) -> int:
        """Encrypt and send `data`; returns its length, or 0 if encrypted bytes are left in `pending`.

        Raises:
            BlockingIOError: The handshake is not over; nothing was sent.
        """
        if not self._secure:
            self.handshake()
            raise BlockingIOError(errno.EAGAIN, "in the handshake")
        self._tls.write(data)
        self.request_bytes = self._outgoing.pending
        self.flush()
        return 0 if self.pending else len(data)

    def flush(self) -> None:
        """Send as many encrypted bytes as the socket accepts."""
        rest = self.pending + self._outgoing.read()
        if rest:
            with suppress(BlockingIOError):
                rest = rest[self._sock.send(rest) :]
            self.pending = rest

    def receive(self, buffers: Sequence[bytearray], space: int) -> tuple[int, Any, int, Any]:
        """Return what `socket.recvmsg_into` would, decrypted.

        Raises:
            BlockingIOError: No complete record of data arrived; session tickets arrive at any time.
            ssl.SSLError: The bytes are not TLS, or were tampered with.
            Truncated: The peer closed without close_notify.
        """
        count, ancillary, flags, address = self._receive([self._space], space)
        if not count:
            if self.closed:
                return 0, ancillary, flags, address
            raise Truncated
        self._incoming.write(self._space[:count])
        count = self._decrypt(memoryview(buffers[0]))
        if not count and not self.closed:
            raise BlockingIOError(errno.EAGAIN, "no data yet")
        return count, ancillary, flags, address

    def _decrypt(self, space: memoryview) -> int:
        """Decrypt every complete record; a close_notify behind them is left for the next read."""
        total = 0
        try:
            while count := self._read(BUFFER_BYTES, space[total:]):
                total += count
        except ssl.SSLWantReadError:
            return total
        except ssl.SSLZeroReturnError:
            pass
        self.closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)  # makes the kernel report the end again, after this data
        return total
