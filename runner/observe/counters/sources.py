"""Which counters there are to read for what is watched: every namespace and every subject once."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.facts import Endpoint, Role, Subject
from runner.observe.counters.conntrack import Conntrack
from runner.observe.counters.files import Files
from runner.observe.counters.host import Cpus, Memory, Pressure, Softnet
from runner.observe.counters.level import Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.members import processes
from runner.observe.counters.memory import GroupMemory
from runner.observe.counters.namespace import namespace_of
from runner.observe.counters.network import Tcp
from runner.observe.counters.ports import Ports
from runner.observe.counters.threads import Switches, Threads

HOST_NETWORK: Final = "net:host"
_WATCHED: Final = (Role.APP, Role.PROXY, Role.FORWARDER)
_CONNECTING: Final = (Role.PROXY, Role.FORWARDER)
"""Who opens connections, besides the generator; a connection that is accepted takes no port."""


def sources_for(subjects: Sequence[Subject], endpoint: Endpoint | None = None) -> Iterator[Source]:
    """Every source there is.

    Args:
        subjects: What is watched; those of the system under test count here.
        endpoint: Where the load goes. On this host its listener is read even when nobody is watched.
    """
    yield from (Cpus(), Softnet(), Pressure(), Memory())
    watched = [subject for subject in subjects if subject.role in _WATCHED and subject.pid is not None]
    for scope, members in _namespaces(watched).items():
        if scope == HOST_NETWORK:
            yield from _own_network(members, _local_port(endpoint), endpoint.port if endpoint else 0)
        elif (pid := members[0].pid) is not None:
            yield from (Tcp(scope, pid), Conntrack(scope, pid), Listeners(scope, pid, _owners(members)))
            if any(member.role in _CONNECTING for member in members):
                yield Ports(scope, pid)
    for subject in watched:
        yield from (Threads(subject), Files(subject), Switches(subject))
        if subject.kind == "cgroup":
            yield GroupMemory(subject)


def _own_network(members: Sequence[Subject], port: int | None, to: int) -> Iterator[Source]:
    """The runner's own namespace, where others listen too: only sockets of the system under test count."""
    own, scope = os.getpid(), HOST_NETWORK
    owners = _owners(members)
    yield from (Tcp(scope, own), Conntrack(scope, own), Ports(scope, own, to))
    if owners or port is not None:
        yield Listeners(scope, own, owners, (port,) if port is not None else ())


def _owners(members: Sequence[Subject]) -> tuple[int, ...]:
    """Processes whose listeners are meant: Docker puts a name server of its own into every container."""
    return tuple(pid for member in members for pid in processes(member))


def _namespaces(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Every network namespace once, the runner's own first and always."""
    scopes = {namespace_of("self"): HOST_NETWORK}
    members: dict[str, list[Subject]] = {HOST_NETWORK: []}
    for subject in subjects:
        namespace = namespace_of(subject.pid or 0)
        if namespace is not None:
            scope = scopes.setdefault(namespace, f"net:{subject.name}")
            members.setdefault(scope, []).append(subject)
    return members


def _local_port(endpoint: Endpoint | None) -> int | None:
    if endpoint is None:
        return None
    try:
        at_home = ipaddress.ip_address(endpoint.address or endpoint.host).is_loopback
    except ValueError:
        at_home = endpoint.host == "localhost"
    return endpoint.port if at_home else None
