"""What every request passes first: is it meant for this server; and headers that bound what a page may do.

A page of a stranger may send requests to 127.0.0.1, and a name that it controls may point there (DNS
rebinding): then the Host header has that name.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
import sys
from collections.abc import Iterable
from typing import Final

import trio
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
POLICY: Final = "Content-Security-Policy"
HEADERS: Final = {
    POLICY: CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_METHODS: Final = frozenset({"GET", "HEAD"})
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_PIECE: Final = 64 * 1024
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def with_own_scripts(page: bytes) -> str:
    """Return the policy for a page that contains its scripts: these run, by their digests, and no others."""
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _SCRIPT.findall(page))
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return CONTENT_POLICY.replace("script-src 'self'", f"script-src {allowed}")


class Protection:
    """Refuses requests for other hosts and with other methods, and adds the headers to every response.

    Args:
        app: What serves the others.
        hosts: Names that the server is reached by, besides those of this machine itself.
        any_address: Accept every IP address as a host: the server listens on all of this machine's. No
            stranger's name can be an address.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str], *, any_address: bool) -> None:
        self._app = app
        self._hosts = _LOCAL | {host.lower().strip("[]") for host in hosts}
        self._any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; the interface of ASGI."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            return
        started = False

        async def send_protected(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            if message["type"] != "http.response.body":
                await send(message)
                return
            body, more = message.get("body", b""), message.get("more_body", False)
            for at in range(0, max(len(body), 1), _PIECE):  # what a slow client waits for is not held twice
                piece = body[at : at + _PIECE]
                goes_on = more or at + _PIECE < len(body)
                # The end tells the application that its client is gone. If that cancelled it, the connection
                # would neither be closed nor have a limit of time. Sending is bounded by itself.
                with trio.CancelScope(shield=not goes_on):
                    await send({"type": message["type"], "body": piece, "more_body": goes_on})

        try:
            await (self._refusal(scope) or self._app)(scope, receive, send_protected)
        except Exception as error:  # noqa: BLE001  (one request must not end the server, nor show a traceback)
            sys.stderr.write(f"a request failed: {type(error).__name__}\n")
            if not started:
                text = "This is a bug in Loadproof. Please report it.\n"
                await PlainTextResponse(text, 500)(scope, receive, send_protected)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Return the response to a request that is not served; None for one that is."""
        if scope["http_version"] not in _VERSIONS:
            text = "This server speaks HTTP/1.1 only.\n"
            return PlainTextResponse(text, 505)
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._is_own(hosts[0].decode("latin-1")):
            text = (
                "This server does not answer to this name. If it should, start it with --allow-host NAME.\n"
            )
            return PlainTextResponse(text, 421)
        if scope["method"] not in _METHODS:
            text = "This server only shows runs: it answers to GET and HEAD.\n"
            return PlainTextResponse(text, 405, {"Allow": "GET, HEAD"})
        return None

    def _is_own(self, host: str) -> bool:
        name = _without_port(host.lower())
        return name in self._hosts or (self._any_address and _is_address(name))


def _without_port(host: str) -> str:
    """Return a Host header's name or address; empty for one that is malformed."""
    if host.startswith("["):
        name, closed, rest = host[1:].partition("]")
        return name if closed and _is_port(rest) else ""
    name, colon, port = host.partition(":")
    return name if _is_port(colon + port) else ""


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isdecimal() and text.isascii() and len(text) <= 6)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
