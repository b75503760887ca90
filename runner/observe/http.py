"""Fetches the metrics pages of the system under test, which use plain HTTP, at little cost."""

from __future__ import annotations

import ssl
from typing import Final

import httpx
import trio

from runner.core.units import Seconds

_TIMEOUT_S: Final[Seconds] = 3.0
_RETRY_S: Final[Seconds] = 0.25


async def fetch_page(url: str) -> str:
    """Return a page's text; tries again if the connection is closed, because the server may be at its limit.

    Closes the connection at once: a proxy that runs out of connections must not lack this one.

    Raises:
        httpx.HTTPError: The page cannot be read.
        trio.TooSlowError: It takes longer than 3 s.
    """
    deadline = trio.current_time() + _TIMEOUT_S - _RETRY_S
    with trio.fail_after(_TIMEOUT_S):
        while True:
            try:
                async with _plain_client() as client:
                    response = await client.get(url)
                    response.raise_for_status()
                    return response.text
            except httpx.ConnectError:
                raise
            except httpx.TransportError:
                if trio.current_time() >= deadline:
                    raise
                await trio.sleep(_RETRY_S)


def _plain_client() -> httpx.AsyncClient:
    """Return a client that trusts no certificate and uses no proxy.

    Loading the system's certificates, as httpx does by default, blocks the runner for 16 ms.
    """
    return httpx.AsyncClient(
        timeout=_TIMEOUT_S, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
