"""TCP connections of the web server, each bounded: how many, how long a client may be silent, how it ends.

Hypercorn's worker for trio speaks HTTP on them. It shields what it sends from being cancelled, so without
this a client that never reads would keep the process from ending, and hold its response in memory for ever.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias, cast

import trio
from h11 import Request
from hypercorn.config import Config
from hypercorn.events import Event, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from runner.core.units import Seconds

MAX_CONNECTIONS: Final = 200
SEND_S: Final[Seconds] = 20.0
"""How long a client may take to receive 16 KiB."""
_GRACE_S: Final[Seconds] = 0.3
_PIECE: Final = 16 * 1024
_Stream: TypeAlias = trio.SSLStream[trio.SocketStream]
"""What Hypercorn declares; it uses only what `Connection` has."""


class Connection:
    """A stream as Hypercorn uses it, whose sending takes a bounded time.

    Attributes:
        is_idle: Whether no whole request has arrived that is not responded to.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self.socket = stream.socket
        self.is_idle = True
        self._stream = stream

    async def send_all(self, data: bytes) -> None:
        """Send data; a client that takes too long is disconnected.

        Raises:
            trio.BrokenResourceError: It is.
        """
        for at in range(0, len(data), _PIECE):
            try:
                with trio.fail_after(SEND_S):
                    await self._stream.send_all(data[at : at + _PIECE])
            except trio.TooSlowError:
                self.abort()
                raise trio.BrokenResourceError from None

    async def receive_some(self, max_bytes: int) -> bytes:
        """Return what has arrived, at most so many bytes; empty at the end."""
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_eof(self) -> None:
        """Say that nothing more follows; what is being sent ends with an error."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(trio.socket.SHUT_WR)
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    def abort(self) -> None:
        """Close it at once; whatever waits for the client ends with an error."""
        trio.lowlevel.notify_closing(self.socket)
        self.socket.close()


class _Http1(H11Protocol):
    """HTTP/1 only: browsers speak HTTP/2 with TLS only."""

    async def _check_protocol(self, event: Request) -> None:
        """Ignore that a client asks for HTTP/2, by an upgrade or by its first line."""


class _Server(TCPServer):
    """Serves one connection; one that the client has closed is over at once."""

    async def protocol_send(self, event: Event) -> None:
        """Send what the protocol has to say, and note whether a response is under way."""
        if isinstance(event, Updated):
            cast(Connection, self.stream).is_idle = event.idle
        await super().protocol_send(event)

    async def run(self) -> None:
        """Serve it until it ends."""
        socket = self.stream.socket
        try:
            client, server = (
                parse_socket_addr(socket.family, name)
                for name in (socket.getpeername(), socket.getsockname())
            )
            async with TaskGroup() as group:
                self._task_group = group
                state = ConnectionState(self.state)
                self.protocol = _Http1(  # type: ignore[assignment]
                    self.app,
                    self.config,
                    self.context,
                    group,
                    state,
                    False,
                    client,
                    server,
                    self.protocol_send,
                )
                await self.idle_task.restart(group, self._idle_timeout)
                await self._read_data()
                await self.idle_task.stop()
        except OSError:
            pass
        finally:
            await self._close()


async def serve_connections(
    app: AppWrapper, listeners: list[trio.SocketListener], closing: Callable[[], Awaitable[None]]
) -> None:
    """Serve HTTP until `closing` returns; then what is under way has a third of a second.

    Args:
        app: As `hypercorn.utils.wrap_app` returns it.
        listeners: Closed at the end.
        closing: Returns when the server has to end.
    """
    config, context = _config(), WorkerContext(None)
    limiter = trio.CapacityLimiter(MAX_CONNECTIONS)
    open_ones: dict[Connection, None] = {}

    async def handle(stream: trio.SocketStream) -> None:
        connection = Connection(stream)
        open_ones[connection] = None
        try:
            if len(open_ones) > MAX_CONNECTIONS:
                _make_room(open_ones)
            async with limiter:
                await _Server(app, config, context, ConnectionState({}), cast(_Stream, connection))
        except Exception:  # noqa: BLE001  (a fault in one connection must not end the others)
            connection.abort()
        finally:
            open_ones.pop(connection, None)

    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, handle, listeners, handler_nursery=handlers))
            await closing()
            accepting.cancel_scope.cancel()
        await context.terminated.set()
        with trio.move_on_after(_GRACE_S):
            while open_ones:  # noqa: ASYNC110  (once, for a moment)
                await trio.sleep(0.01)
        for connection in list(open_ones):
            connection.abort()
        handlers.cancel_scope.cancel()


def _make_room(open_ones: dict[Connection, None]) -> None:
    """Close the oldest connection that has sent no whole request; those that do must not wait for it."""
    oldest = next((one for one in open_ones if one.is_idle), None)
    if oldest is not None:
        del open_ones[oldest]
        oldest.abort()


def _config() -> Config:
    """Return Hypercorn's bounds; what it would log is either the client's business or ours to report."""
    config = Config()
    config.errorlog = config.accesslog = None
    config.include_server_header = False
    config.keep_alive_timeout = 15
    config.websocket_max_message_size = 1024
    logging.getLogger("trio.serve_listeners").disabled = True  # no free file descriptor: it tries again
    return config
