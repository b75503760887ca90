"""Fetches the metrics pages of the system under test over plain HTTP, at little cost and within bounds."""

from __future__ import annotations

import ssl
from typing import Final

import httpx
import trio

from runner.bounded_http import TooManyBytes, bounded_transport
from runner.core.units import Seconds
from runner.observe.bounds import MAX_PAGE_BYTES, MAX_PAGE_S, BoundExceeded, PageUnreadable

_RETRY_S: Final[Seconds] = 0.25
_HEADERS: Final = {
    "Accept": "text/plain;version=0.0.4, text/plain;q=0.9, */*;q=0.1",
    "Accept-Encoding": "identity",
}


async def fetch_page(url: str) -> str:
    """Return a page's text; tries again if the connection is closed, because the server may be at its limit.

    Closes the connection at once: a proxy that runs out of connections must not lack this one. Redirects are
    not followed: the load does not follow them either, and they lead elsewhere.

    Raises:
        PageUnreadable: It cannot be read.
        BoundExceeded: It is too large, compressed, or not UTF-8.
        trio.TooSlowError: Its last byte does not arrive within 3 s, whatever the server sends until then.
    """
    try:
        return await _page_within_time(url)
    except httpx.HTTPStatusError as error:
        raise PageUnreadable(f"its page returned status {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise PageUnreadable(f"its page could not be read ({type(error).__name__})") from error


async def _page_within_time(url: str) -> str:
    fault: Exception = trio.TooSlowError()
    with trio.move_on_after(MAX_PAGE_S):
        while True:
            try:
                return _text(await _body(url))
            except httpx.ConnectError:
                raise
            except TooManyBytes:
                raise BoundExceeded("its page is larger than 1 MiB") from None
            except httpx.TransportError as error:
                fault = error
            await trio.sleep(_RETRY_S)
    raise fault


async def _body(url: str) -> bytes:
    async with _plain_client() as client, client.stream("GET", url, headers=_HEADERS) as response:
        response.raise_for_status()
        if response.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
            raise BoundExceeded("its page is compressed, which was not asked for")
        body = bytearray()
        with trio.CancelScope() as scope:  # leaving the loop early would leave httpx's generators open
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > MAX_PAGE_BYTES:
                    scope.cancel()
        if len(body) > MAX_PAGE_BYTES:
            raise BoundExceeded("its page is larger than 1 MiB")
        return bytes(body)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BoundExceeded("its page is not UTF-8 text") from None


def _plain_client() -> httpx.AsyncClient:
    """Return a client that trusts no certificate and uses no proxy.

    Loading the system's certificates, as httpx does by default, blocks the runner for 16 ms.
    """
    transport = bounded_transport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return httpx.AsyncClient(timeout=MAX_PAGE_S, trust_env=False, transport=transport)
