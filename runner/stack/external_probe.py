"""Checks that a running service accepts connections and, over TLS, that its certificate is trusted."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from runner.core.endpoint import Tls
from runner.core.errors import StackFailed
from runner.core.tls_context import explained
from runner.core.units import Seconds

WITHIN_S: Final[Seconds] = 5.0


async def first_reachable(url: str, addresses: Sequence[str], port: int) -> str:
    """Return the first address that accepts a connection.

    Args:
        url: For messages.
        addresses: At least one.
        port: TCP port.

    Raises:
        StackFailed: None does.
    """
    refusal = OSError()
    async with _in_time(f"{url} does not accept a connection"):
        for address in addresses:
            try:
                await _connect(address, port)
            except OSError as error:
                refusal = error
            else:
                return address
    raise StackFailed(
        f"{url} cannot be reached: {_reason(refusal)}", hint="start the service, or correct the url"
    ) from refusal


async def check_reachable(url: str, addresses: Sequence[str], port: int) -> None:
    """Return when every address has accepted a connection.

    Raises:
        StackFailed: One does not; the message names it.
    """
    for address in addresses:
        try:
            async with _in_time(f"{url} does not accept a connection at {address}"):
                await _connect(address, port)
        except OSError as error:
            raise StackFailed(
                f"{url} cannot be reached at {address}: {_reason(error)}",
                hint="start the service there, or use topology.resolve: first",
            ) from error


async def _connect(address: str, port: int) -> None:
    stream = await trio.open_tcp_stream(address, port)
    await stream.aclose()


async def check_tls(url: str, address: str, port: int, tls: Tls, context: ssl.SSLContext) -> None:
    """Return when a TLS handshake succeeds and the certificate is accepted.

    Raises:
        StackFailed: The handshake fails, or the certificate is not accepted; the message says why.
    """
    async with _in_time(f"{url} does not finish the TLS handshake"):
        try:
            async with await trio.open_tcp_stream(address, port) as stream:
                tls_stream = trio.SSLStream(stream, context, server_hostname=tls.server_name)
                await tls_stream.do_handshake()
        except trio.BrokenResourceError as error:
            cause = error.__cause__
            message, hint = f"the connection to {tls.server_name} broke in the TLS handshake", ""
            if isinstance(cause, ssl.SSLError):
                message, hint = explained(cause, tls.server_name)
            raise StackFailed(f"{url} cannot be used: {message}", hint=hint) from error
        except OSError as error:
            raise StackFailed(f"{url} cannot be reached: {_reason(error)}") from error


@asynccontextmanager
async def _in_time(failure: str) -> AsyncIterator[None]:
    try:
        with trio.fail_after(WITHIN_S):
            yield
    except trio.TooSlowError:
        raise StackFailed(f"{failure} within {WITHIN_S:g} s") from None


def _reason(error: OSError) -> str:
    """Return the system's reason; trio groups one error for each address that it tried."""
    cause: BaseException = error
    while isinstance(cause.__cause__, BaseExceptionGroup):
        cause = cause.__cause__.exceptions[0]
    number = getattr(cause, "errno", None)
    return os.strerror(number) if number else str(cause)
