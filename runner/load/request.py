"""The bytes of a request, and the address they go to."""

from __future__ import annotations

import socket
from typing import TypeAlias

from runner.core.errors import EnvironmentLacks
from runner.core.facts import Endpoint
from runner.load.engine import LoadOrder

_DEFAULT_PORTS = {"http": 80, "https": 443}


def request_bytes(order: LoadOrder) -> bytes:
    """Return one HTTP/1.1 request; headers of the specification replace ours of the same name."""
    request, endpoint = order.load.request, order.endpoint
    body = (request.body or "").encode()
    headers = {"Host": _host(endpoint), "User-Agent": "loadproof", "Accept": "*/*"}
    if request.body is not None or request.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = str(len(body))
    if order.load.connection == "new":
        headers["Connection"] = "close"
    given = {name.lower() for name in request.headers}
    headers = {name: value for name, value in headers.items() if name.lower() not in given}
    lines = [f"{request.method} {endpoint.base_path}{request.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers | request.headers).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + body


Target: TypeAlias = tuple[int, tuple[str | int, ...]]
"""An address family, and an address as `socket.connect` takes it."""


def resolve(endpoint: Endpoint) -> tuple[Target, ...]:
    """Return where to connect to in turn, resolved once so that no request has to.

    Raises:
        EnvironmentLacks: The name has no address.
    """
    hosts = endpoint.addresses or (endpoint.address or endpoint.host,)
    try:
        return tuple(_target(host, endpoint.port) for host in hosts)
    except OSError as error:
        raise EnvironmentLacks(
            f"the host name {endpoint.host!r} has no address: {error.strerror}",
            hint="check the url in the specification",
        ) from None


def _target(host: str, port: int) -> Target:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return int(family), (str(address[0]), *(int(part) for part in address[1:]))


def _host(endpoint: Endpoint) -> str:
    name = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return name if endpoint.port == _DEFAULT_PORTS[endpoint.scheme] else f"{name}:{endpoint.port}"
