"""A manager on "another machine": a port of this one, with or without TLS, that leads to its Unix socket."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from functools import partial

import trio


@contextlib.asynccontextmanager
async def relay(path: str, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Relay to a Unix socket, and yield the port."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve = partial(_serve, path=path, context=context)
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def _serve(stream: trio.abc.Stream, *, path: str, context: ssl.SSLContext | None) -> None:
    if context:
        stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        async with stream, await trio.open_unix_socket(path) as engine, trio.open_nursery() as nursery:
            nursery.start_soon(_copy, stream, engine, nursery.cancel_scope)
            nursery.start_soon(_copy, engine, stream, nursery.cancel_scope)


async def _copy(source: trio.abc.Stream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while chunk := await source.receive_some(65_536):
            await target.send_all(chunk)
    scope.cancel()
