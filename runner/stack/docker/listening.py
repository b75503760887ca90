"""Finds where the processes of a container listen, through the kernel's table of its network namespace."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from runner.core.codes import Role
from runner.stack.docker.stack import Container
from runner.stack.ports import LOOPBACK

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTEN: Final = "0A"
_DOCKER_DNS: Final = ipaddress.ip_address("127.0.0.11")
"""Docker's own name server, in every container on a network of a user."""


def listening_hint(container: Container) -> str:
    """Return what to do if an app's container listens where nothing outside it can connect; else nothing."""
    plan = container.plan
    if plan.role != Role.APP or container.host == LOOPBACK or not container.alive:
        return ""
    sockets = list(listening(container.pid))
    on_port = [address for address, port in sockets if port == plan.port]
    if on_port and all(address.is_loopback for address in on_port):
        return (
            f"it listens on {on_port[0]}:{plan.port} inside its container, where only the container itself "
            "can connect: make it listen on 0.0.0.0"
        )
    if sockets and not on_port:
        places = ", ".join(sorted(f"{address}:{port}" for address, port in sockets))
        return f"it listens on {places} inside its container: set topology.app.port to its port"
    return ""


def listening(pid: int, proc: Path = Path("/proc")) -> Iterator[tuple[Address, int]]:
    """Yield address and port of every listening TCP socket in a process's network namespace.

    Args:
        pid: The process, as this machine sees it.
        proc: Where procfs is mounted.
    """
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / str(pid) / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN:
                host, port = fields[1].split(":")
                if (address := _address(host)) != _DOCKER_DNS:
                    yield address, int(port, 16)


def _address(text: str) -> Address:
    """Return an address of /proc/net/tcp: 32-bit words in the machine's byte order."""
    words = bytes.fromhex(text)
    count = len(words) // 4
    network = struct.pack(f"={count}I", *struct.unpack(f">{count}I", words))
    address = ipaddress.ip_address(network)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
