"""HTTP to services that may send anything, for ever: a connection of httpx that stops at a number of bytes.

httpx bounds neither what comes before a response, such as endless ``103 Early Hints``, nor its time in total.
It also parses up to 64 KiB without letting other tasks run, which would disturb a measurement.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any, Final

import httpcore
import httpx

from runner.core.units import BYTES_PER_MIB, Bytes

MAX_BYTES: Final[Bytes] = 2 * BYTES_PER_MIB
"""Of one connection: heads, and a body of 1 MiB in chunks."""

_AT_ONCE: Final[Bytes] = 4_096


class TooManyBytes(httpx.TransportError):
    """A server sent more than `MAX_BYTES` on one connection."""


def bounded_transport(verify: ssl.SSLContext) -> httpx.AsyncBaseTransport:
    """Return a transport for `httpx.AsyncClient`, with one response for each connection.

    Args:
        verify: Verifies the certificates of https URLs.
    """
    return _Transport(verify)


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, verify: ssl.SSLContext) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify, max_keepalive_connections=0, network_backend=_Backend()
        )


class _Backend(httpcore.TrioBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  (httpcore's interface)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = MAX_BYTES

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        received = await self._stream.read(min(max_bytes, _AT_ONCE), timeout)
        self._left -= len(received)
        if self._left < 0:
            raise TooManyBytes(f"it sent more than {MAX_BYTES // BYTES_PER_MIB} MiB")
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
