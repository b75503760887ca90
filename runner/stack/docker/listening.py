"""Finds where the processes of a container listen, through the kernel's table of its network namespace."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from runner.stack.docker.stack import Container
from runner.stack.listen_table import listeners

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_DOCKER_DNS: Final = ipaddress.ip_address("127.0.0.11")
"""Docker's own name server, in every container on a network of a user."""


def listening_hint(container: Container, port: int, key: str) -> str:
    """Return what to do if a container listens where nothing outside it can connect; else nothing.

    Args:
        container: The container.
        port: Where it is expected to listen.
        key: Where the specification says so, such as ``topology.app.port``.
    """
    sockets = list(listening(container.pid)) if container.alive else []
    on_port = [address for address, number in sockets if number == port]
    if on_port and all(address.is_loopback for address in on_port):
        return (
            f"it listens on {on_port[0]}:{port} inside its container, where only the container itself "
            "can connect: make it listen on 0.0.0.0"
        )
    if sockets and not on_port:
        places = ", ".join(sorted(f"{address}:{number}" for address, number in sockets))
        return f"it listens on {places} inside its container: set {key} to its port"
    return ""


def listening(pid: int) -> Iterator[tuple[Address, int]]:
    """Yield address and port of every listening TCP socket in a process's network namespace.

    Args:
        pid: The process, as this machine sees it.
    """
    for listener in listeners(Path(f"/proc/{pid}")):
        if (address := _address(listener.host)) != _DOCKER_DNS:
            yield address, listener.port


def _address(text: str) -> Address:
    """Return an address of /proc/net/tcp: 32-bit words in the machine's byte order."""
    words = bytes.fromhex(text)
    count = len(words) // 4
    network = struct.pack(f"={count}I", *struct.unpack(f">{count}I", words))
    address = ipaddress.ip_address(network)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
