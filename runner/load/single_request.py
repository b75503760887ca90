"""Sends one request outside the load, and returns its response within bounds."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Final

import trio

from runner.core.endpoint import Endpoint
from runner.core.tls_context import client_context, explained
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.load.addresses import resolve
from runner.load.response_parser import Response
from runner.load.tolerant_parser import ProtocolFault

MAX_RESPONSE: Final[Bytes] = BYTES_PER_MIB

_CHUNK: Final[Bytes] = 65_536


@dataclass(frozen=True, slots=True)
class Received:
    """A complete response.

    Attributes:
        status: Status code.
        head: Status line and headers.
        body: With chunking undone and nothing decoded.
    """

    status: int
    head: bytes
    body: bytes


class NoResponse(Exception):  # noqa: N818  (reads as the sentence it is)
    """There is no complete response; the message says why, as a clause."""


async def send_request(endpoint: Endpoint, content: bytes, *, head_only: bool) -> Received:
    """Send a request on a connection of its own, and return the response of at most 1 MiB.

    Args:
        endpoint: Where it goes, and to nowhere else: redirects are not followed.
        content: The whole request, which asks the server to close the connection.
        head_only: Whether the response has no body, as that to HEAD.

    Raises:
        NoResponse: There is no complete response of HTTP/1.1.
        EnvironmentLacks: The host has no address.
    """
    try:
        async with await _connect(endpoint) as stream:
            return await _exchange(stream, content, head_only=head_only)
    except ssl.SSLError as error:
        raise NoResponse(explained(error, endpoint.host)[0]) from None
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise NoResponse(explained(error.__cause__, endpoint.host)[0]) from None
        raise NoResponse("the connection was reset") from None
    except ProtocolFault as fault:
        raise NoResponse(f"the response is not valid HTTP/1.1 ({fault})") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise NoResponse(f"no connection was possible: {reason}") from None


async def _connect(endpoint: Endpoint) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    family, address = resolve(endpoint)[0]
    socket = trio.socket.socket(family, trio.socket.SOCK_STREAM)
    try:
        await socket.connect(address)
    except BaseException:
        socket.close()
        raise
    stream = trio.SocketStream(socket)
    if endpoint.tls is None:
        return stream
    name = endpoint.tls.server_name
    return trio.SSLStream(stream, client_context(endpoint.tls), server_hostname=name, https_compatible=True)


async def _exchange(
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], content: bytes, *, head_only: bool
) -> Received:
    response, received = Response(head_only=head_only, keep=True), 0
    try:
        broken = await _send(stream, content)
        while not response.complete:
            chunk = await stream.receive_some(_CHUNK)
            if not chunk and not response.close():
                raise broken or NoResponse("the connection was closed before the response was complete")
            received += len(chunk)
            if received > MAX_RESPONSE:
                raise NoResponse(f"the response is larger than {MAX_RESPONSE // BYTES_PER_MIB} MiB")
            if chunk:
                response.feed(memoryview(chunk))
        return Received(response.status, response.head, bytes(response.body))
    finally:
        response.release()


async def _send(
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream], content: bytes
) -> trio.BrokenResourceError | None:
    """Send a request; a server may respond and close before it has read the body, so that sending fails."""
    try:
        await stream.send_all(content)
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise
        return error
    return None
