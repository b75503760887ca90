"""HTTPS: the generator's connections with TLS between the HTTP and the socket.

OpenSSL works on memory (ssl.MemoryBIO) and this program on the socket, so that answers keep the
kernel's receive stamps: an answer came when the bytes came that completed its last record.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from runner.core.facts import Tls
from runner.core.tls_context import client_context
from runner.core.units import Nanoseconds
from runner.load.connection import FAILURES, IDLE, LINGERING, STAMP_SPACE, WAITING, Connection
from runner.load.exchange import BUFFER_BYTES, Exchange
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.worker_order import WorkerOrder

_READ_BYTES: Final = BUFFER_BYTES // 2
"""At most so much is read at once: with an unfinished record before it, it still fits unsealed."""

_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Truncated(OSError):  # noqa: N818  (a fact about the peer, not an error of ours)
    """The peer closed without saying so in TLS: what it sent may not be all."""


class Seal:
    """The TLS side of one connection; `send` and `receive` are what the socket's own would be.

    Args:
        sock: Connected, or about to be.
        tls: Has done nothing yet.
        incoming: What `tls` reads from.
        outgoing: What `tls` writes to.
        space: For what is received; all connections of a worker may share it.

    Attributes:
        rest: Sealed bytes that the socket has not taken yet.
        ended: The peer has said that it will send no more (close_notify).
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
        "ended",
        "rest",
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
        self._secure = self.ended = False
        self.rest = b""

    def greet(self) -> bool:
        """Go on with the handshake as far as what was received allows; whether it is over.

        Our last word of it is not sent yet then: it leaves together with the request.

        Raises:
            ssl.SSLError: It has failed.
            OSError: The connection has.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self.flush()
            return False
        except ssl.SSLError:
            with suppress(OSError):
                self.flush()  # tells the peer why
            raise
        self._secure = True
        return True

    def take(self) -> None:
        """Receive what there is of the handshake.

        Raises:
            BlockingIOError: There is nothing.
            Truncated: The peer has closed.
        """
        count = self._sock.recv_into(self._space)
        if not count:
            raise Truncated
        self._incoming.write(self._space[:count])

    def send(self, data: bytes) -> int:
        """Seal and send everything or, as far as the count tells, nothing; what is left is in `rest`.

        Raises:
            BlockingIOError: The handshake is not over; nothing was taken.
        """
        if not self._secure:
            self.greet()
            raise BlockingIOError(errno.EAGAIN, "in the handshake")
        self._tls.write(data)
        self.flush()
        return 0 if self.rest else len(data)

    def flush(self) -> None:
        """Send what is sealed, as much as the socket takes."""
        rest = self.rest + self._outgoing.read()
        if rest:
            with suppress(BlockingIOError):
                rest = rest[self._sock.send(rest) :]
            self.rest = rest

    def receive(self, buffers: Sequence[bytearray], space: int) -> tuple[int, Any, int, Any]:
        """As `socket.recvmsg_into`, but unsealed.

        Raises:
            BlockingIOError: What came is no (whole record of) data: session tickets come at any time.
            ssl.SSLError: It is not TLS, or was tampered with.
            Truncated: The peer closed without close_notify.
        """
        count, ancillary, flags, address = self._receive([self._space], space)
        if not count:
            if self.ended:
                return 0, ancillary, flags, address
            raise Truncated
        self._incoming.write(self._space[:count])
        count = self._unseal(memoryview(buffers[0]))
        if not count and not self.ended:
            raise BlockingIOError(errno.EAGAIN, "no data yet")
        return count, ancillary, flags, address

    def _unseal(self, space: memoryview) -> int:
        """Every whole record that has come; a last word of the peer's is kept for the next read."""
        total = 0
        try:
            while count := self._read(BUFFER_BYTES, space[total:]):
                total += count
        except ssl.SSLWantReadError:
            return total
        except ssl.SSLZeroReturnError:
            pass
        self.ended = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)  # makes the kernel tell of the end again, after this data
        return total


class SealedConnection(Connection):
    """A connection with TLS.

    Attributes:
        seal: Its TLS side.
        secured: When the TLS handshake was over; `connected` is when TCP's was.
    """

    __slots__ = ("seal", "secured")

    def __init__(
        self, sock: socket.SocketType, due: Nanoseconds, started: Nanoseconds, seal: Seal, *, measured: bool
    ) -> None:
        super().__init__(sock, due, started, measured=measured)
        self.seal = seal
        self.secured = 0
        self.send, self.receive = seal.send, seal.receive


class TlsExchange(Exchange):
    """Requests out and answers in over TLS.

    Args:
        order: What to ask, and what answer is a good one.
        timeline: Where it is counted.
        tls: How certificates are judged.
    """

    def __init__(self, order: WorkerOrder, timeline: Timeline, tls: Tls) -> None:
        super().__init__(order, timeline)
        self._server_name = tls.server_name
        self._context = client_context(tls)
        self._space = memoryview(bytearray(_READ_BYTES))

    def _opened(
        self, sock: socket.SocketType, due: Nanoseconds, started: Nanoseconds, *, measured: bool
    ) -> Connection:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_hostname=self._server_name)
        seal = Seal(sock, tls, incoming, outgoing, self._space)
        return SealedConnection(sock, due, started, seal, measured=measured)

    def _connected(self, connection: Connection) -> None:
        """TCP's handshake has ended, or the next step of that of TLS has come."""
        assert isinstance(connection, SealedConnection)
        seal = connection.seal
        try:
            if seal.rest:
                self._reached(connection)
            else:
                self.epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLRDHUP)
                seal.take()
            if seal.greet():
                self._secured(connection)
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(connection, _failure(error))

    def _reached(self, connection: SealedConnection) -> None:
        """What could not be sent can be now; the first time, TCP's handshake is what has ended.

        Raises:
            OSError: It ended badly.
        """
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, "not connected")
        connection.connected = time.time_ns()

    def _secured(self, connection: SealedConnection) -> None:
        """The connection is ready: send its request."""
        self.pressing -= 1
        connection.secured = time.time_ns()
        connection.state = WAITING
        if connection.send(self._request) != self._size:
            self._wait_to_send(connection, self._request)

    def _send(self, connection: Connection, data: bytes) -> None:  # noqa: ARG002  (see below)
        """Send what is left, which is sealed already; `data` only tells that something is."""
        assert isinstance(connection, SealedConnection)
        try:
            connection.seal.flush()
        except OSError as error:
            self._end(connection, _failure(error))
            return
        if not connection.seal.rest:
            connection.unsent = b""
            self.pressing -= 1
            self.epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLRDHUP)

    def _turn(self, connection: Connection, mask: int) -> None:
        """As ever, but TLS itself may have something to say that means nothing for HTTP."""
        if connection.state not in {IDLE, LINGERING} or mask & _GONE:
            super()._turn(connection, mask)
            return
        try:
            count, *_ = connection.receive([self._buffer], STAMP_SPACE)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        if connection.state == IDLE or not count:
            self._close(connection)

    def _unreadable(self, connection: Connection, error: OSError) -> None:
        if not isinstance(error, BlockingIOError):
            self._end(connection, _failure(error))

    def _count_new(self, tally: Tally, connection: Connection) -> Nanoseconds:
        assert isinstance(connection, SealedConnection)
        tally.connect.add(connection.connected - connection.started)
        tally.tls.add(connection.secured - connection.connected)
        return connection.secured


def _failure(error: OSError) -> str:
    """The failure kind of what went wrong on a connection."""
    if isinstance(error, Truncated):
        return "closed_early"
    if isinstance(error, ssl.SSLError):
        return "protocol"
    if error.errno == errno.ETIMEDOUT:
        return "timeout"
    return FAILURES.get(error.errno or 0, "reset")
