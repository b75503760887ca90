"""HTTPS: the generator's connections with TLS between HTTP and the socket.

OpenSSL works in memory (ssl.MemoryBIO) and this module on the socket, so that responses keep the kernel's
receive timestamps: a response arrives with the bytes that complete its last record.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from typing import Final

from runner.core.endpoint import Tls
from runner.core.tls_context import client_context
from runner.core.units import Nanoseconds
from runner.load.connection import FAILURES, IDLE, LINGERING, STAMP_SPACE, WAITING, Connection
from runner.load.exchange import Exchange, is_unasked
from runner.load.part import Part
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.tls_layer import READ_BYTES, TlsLayer, Truncated
from runner.load.worker_order import WorkerOrder

_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class TlsConnection(Connection):
    """A connection with TLS.

    Attributes:
        layer: Its TLS side.
        ready: When the TLS handshake was over; `connected` is when TCP's was.
    """

    __slots__ = ("layer", "ready")

    def __init__(
        self,
        sock: socket.SocketType,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        layer: TlsLayer,
        *,
        measured: bool,
        user: int,
    ) -> None:
        super().__init__(sock, part, content, due, started, measured=measured, user=user)
        self.layer = layer
        self.ready = 0
        self.send, self.receive = layer.send, layer.receive


class TlsExchange(Exchange):
    """`Exchange` over TLS.

    Args:
        order: As for `Exchange`.
        timeline: Likewise.
        tls: How certificates are verified.
    """

    def __init__(self, order: WorkerOrder, timeline: Timeline, tls: Tls) -> None:
        super().__init__(order, timeline)
        self._server_name = tls.server_name
        self._context = client_context(tls)
        self._space = memoryview(bytearray(READ_BYTES))

    def _new_connection(
        self,
        sock: socket.SocketType,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        *,
        measured: bool,
        user: int,
    ) -> Connection:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context.wrap_bio(incoming, outgoing, server_hostname=self._server_name)
        layer = TlsLayer(sock, tls, incoming, outgoing, self._space)
        return TlsConnection(sock, part, content, due, started, layer, measured=measured, user=user)

    def _finish_connect(self, connection: Connection) -> None:
        """Handle the end of TCP's handshake, or the next step of TLS's."""
        assert isinstance(connection, TlsConnection)
        layer = connection.layer
        try:
            if layer.pending:
                self._finish_tcp_connect(connection)
            else:
                self.epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLRDHUP)
                layer.receive_handshake()
            if layer.handshake():
                self._finish_handshake(connection)
        except BlockingIOError:
            pass
        except OSError as error:
            if connection.state == WAITING:
                self._write_failed(connection, error.errno or 0)
            else:
                self._failed_with(connection, error)

    def _finish_tcp_connect(self, connection: TlsConnection) -> None:
        """Handle a socket that became writable: the first time, TCP's handshake has ended.

        Raises:
            OSError: The connection failed.
        """
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, "not connected")
        connection.connected = time.time_ns()

    def _finish_handshake(self, connection: TlsConnection) -> None:
        """Send the request of a connection whose TLS handshake is over."""
        self.urgent -= 1
        connection.ready = time.time_ns()
        connection.state = WAITING
        self.opened += 1
        if connection.send(connection.content) != len(connection.content):
            self._wait_to_send(connection, connection.content)

    def _send(self, connection: Connection, data: bytes) -> None:  # noqa: ARG002  (see below)
        """Send what is left, which is encrypted already; `data` only shows that something is."""
        assert isinstance(connection, TlsConnection)
        try:
            connection.layer.flush()
        except OSError as error:
            self._write_failed(connection, error.errno or 0)
            return
        if not connection.layer.pending:
            connection.unsent = b""
            self.urgent -= 1
            self.epoll.modify(connection.fd, select.EPOLLIN | select.EPOLLRDHUP)

    def _handle(self, connection: Connection, mask: int) -> None:
        """Handle an event; on an idle connection it may be a TLS message that HTTP does not see."""
        if connection.state not in {IDLE, LINGERING}:
            super()._handle(connection, mask)
            return
        try:
            count, *_ = connection.receive([self._buffer], STAMP_SPACE)
        except OSError as error:
            if isinstance(error, BlockingIOError) and not mask & _GONE:
                return
            count = 0
        if connection.state == IDLE:
            self._count_lost(unasked=is_unasked(self._buffer[: min(count, 13)]))
        if connection.state == IDLE or not count:
            self._close(connection)

    def _read_failed(self, connection: Connection, error: OSError) -> None:
        if isinstance(error, BlockingIOError):
            return
        if isinstance(error, Truncated) and connection.response is None:
            self._ended(connection)
        else:
            self._failed_with(connection, error)

    def _failed_with(self, connection: Connection, error: OSError) -> None:
        failure = _failure(error)
        if failure == "protocol":
            self._misunderstood(connection, _reason(error))
        else:
            self._fail(connection, failure)

    def _completed_by_close(self, connection: Connection) -> bool:
        assert isinstance(connection, TlsConnection)
        return connection.layer.closed and super()._completed_by_close(connection)

    def _written(self, connection: Connection) -> int:
        assert isinstance(connection, TlsConnection)
        return connection.layer.request_bytes - len(connection.layer.pending)

    def _count_connection_times(self, tally: Tally, connection: Connection) -> Nanoseconds:
        assert isinstance(connection, TlsConnection)
        tally.connect.add(connection.connected - connection.started)
        tally.tls.add(connection.ready - connection.connected)
        return connection.ready


def _failure(error: OSError) -> str:
    """Return the failure kind of an error on a connection."""
    if isinstance(error, Truncated):
        return "closed_early"
    if isinstance(error, ssl.SSLError):
        return "protocol"
    if error.errno == errno.ETIMEDOUT:
        return "timeout"
    return FAILURES.get(error.errno or 0, "reset")


def _reason(error: OSError) -> str:
    """Return what OpenSSL says of an error, in its own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    reason = error.reason if isinstance(error, ssl.SSLError) else ""
    return f"TLS: {(reason or 'failed').replace('_', ' ').lower()}"
