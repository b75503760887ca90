"""One end of a connection, as the kernel lists it."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from runner.observe.peers.waiting import Inode


class Place(NamedTuple):
    """Where a program listens: an address and a port, or the path of a Unix socket and 0."""

    address: str
    port: int


class Connection(NamedTuple):
    """The end of a connection that opened it.

    Attributes:
        inode: Of the socket; unique on this host while it exists.
        to: Where the other end listens.
        queued_bytes: In its send queue, or in the receive queue of the other end.
        info: State of a TCP connection (struct tcp_info); empty where the kernel does not tell it.
    """

    inode: Inode
    to: Place
    queued_bytes: int
    info: bytes = b""


_FAMILY_V4: Final = 2


def address_of(family: int, raw: bytes) -> str:
    """Return a numeric address; an IPv4 address that is mapped to IPv6 is one of IPv4."""
    if family == _FAMILY_V4:
        return str(ipaddress.IPv4Address(raw[:4]))
    address = ipaddress.IPv6Address(raw)
    return str(address.ipv4_mapped or address)
