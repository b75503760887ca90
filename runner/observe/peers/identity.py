"""Which program is at the other end of a connection: a part of the stack, another program, or unknown."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from runner.core.codes import RoleName
from runner.observe.counters.namespace import namespace_of
from runner.observe.peers.addresses import addresses_of
from runner.observe.peers.namespaces import Namespace
from runner.observe.peers.owners import Owner, Owners, all_processes
from runner.observe.peers.socket import Place
from runner.observe.peers.unix import UnixSocket
from runner.observe.peers.waiting import Inode
from runner.observe.processes import name_of

_FORWARDER: Final = "docker-proxy"
"""It listens in place of a program in a container, which the connection really leads to."""
_ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  (these are compared, never bound)
_MAX_NAMESPACES: Final = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """What is at the other end.

    Attributes:
        role: Of a part of the stack, else empty.
        program: Name of its process; empty where it is not known.
        pid: Likewise None.
    """

    role: RoleName = ""
    program: str = ""
    pid: int | None = None


UNKNOWN: Final = Identity()


@dataclass(slots=True)
class Identities:
    """Finds what is at the other end of connections.

    Args:
        namespaces: Those of the system under test.
        owners: Finds the process that holds a socket.
        watched: Port of a service that ran already to its name.
    """

    namespaces: Sequence[Namespace]
    owners: Owners
    watched: Mapping[int, RoleName] = field(default_factory=dict)
    _foreign: dict[str, int] | None = None

    def of_unix(self, place: Place, sockets: Sequence[UnixSocket]) -> Identity:
        """Return what listens on a Unix socket."""
        listening = (one.inode for one in sockets if one.name == place.address and not one.is_connected)
        return self._of_inode(next(listening, None))

    def of_tcp(self, place: Place, namespace: Namespace) -> Identity:
        """Return what listens at a place, as seen from a namespace."""
        known = self._listener(place, namespace)
        identity = UNKNOWN if known is None else self._of_inode(known)
        if identity.program == _FORWARDER and not identity.role:
            identity = UNKNOWN
        is_here = any(place.address in one.addresses for one in self._candidates(place, namespace))
        if not identity.role and is_here and place.port in self.watched:
            return Identity(self.watched[place.port], identity.program, identity.pid)
        return identity

    def _of_inode(self, inode: Inode | None) -> Identity:
        owner = self.owners.anywhere(inode) if inode else None
        return _identity(owner) if owner else UNKNOWN

    def _listener(self, place: Place, namespace: Namespace) -> Inode | None:
        for candidate in self._candidates(place, namespace):
            if (inode := _listening(candidate, place)) is not None:
                return inode
        pid = self._elsewhere().get(place.address)
        if pid is None or ipaddress.ip_address(place.address).is_loopback:
            return None
        with closing(Namespace(pid)) as other:
            return _listening(other, place)

    def _candidates(self, place: Place, namespace: Namespace) -> Iterator[Namespace]:
        """Yield the namespaces with the address; a loopback address is one of the connecting namespace."""
        if ipaddress.ip_address(place.address).is_loopback:
            yield namespace
            return
        yield from (one for one in (namespace, *self.namespaces) if place.address in one.addresses)

    def _elsewhere(self) -> dict[str, int]:
        """Return the addresses of all other namespaces of this host, with a process in each; read once."""
        if self._foreign is None:
            known = {namespace_of(one.pid) for one in self.namespaces}
            processes = {identity: pid for pid in all_processes() if (identity := namespace_of(pid))}
            others = [pid for identity, pid in processes.items() if identity not in known]
            self._foreign = {
                address: pid for pid in others[:_MAX_NAMESPACES] for address in addresses_of(pid)
            }
        return self._foreign


def _identity(owner: Owner) -> Identity:
    return Identity(owner.subject.role if owner.subject else "", name_of(owner.pid), owner.pid)


def _listening(namespace: Namespace, place: Place) -> Inode | None:
    """Return the socket that listens at a place, one on its very address first."""
    same_port = [one for one in namespace.listeners() if one.place.port == place.port]
    exact = (one.inode for one in same_port if one.place.address == place.address)
    return next(exact, next((one.inode for one in same_port if one.place.address in _ANY), None))
