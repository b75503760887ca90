"""Asking the system under test's own pages, which are always plain HTTP, at little cost.

An httpx client loads the system's certificates when it is made: 16 ms in which nothing else runs.
"""

from __future__ import annotations

import ssl

import httpx

from runner.core.units import Seconds


def plain_client(timeout_s: Seconds) -> httpx.AsyncClient:
    """A client that trusts no certificate at all, and takes no proxy from the environment."""
    return httpx.AsyncClient(
        timeout=timeout_s, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
