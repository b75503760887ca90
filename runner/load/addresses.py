"""The addresses that requests go to; it needs neither the specification nor its libraries."""

from __future__ import annotations

import socket
from typing import TypeAlias

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks

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
