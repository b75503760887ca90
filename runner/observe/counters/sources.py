"""The counters to read for the watched subjects: every namespace and every subject once."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from runner.core.codes import Role
from runner.core.facts import Endpoint, Subject
from runner.observe.counters import host
from runner.observe.counters.conntrack import read_conntrack
from runner.observe.counters.files import read_files
from runner.observe.counters.level import FunctionSource, Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.members import processes
from runner.observe.counters.memory import memory_folder, read_group_memory
from runner.observe.counters.namespace import namespace_of
from runner.observe.counters.network import read_tcp
from runner.observe.counters.ports import Ports
from runner.observe.counters.threads import Threads, read_switches

HOST_NETWORK: Final = "net:host"
_WATCHED: Final = (Role.APP, Role.PROXY, Role.FORWARDER)
_CONNECTING: Final = (Role.PROXY, Role.FORWARDER)
"""Roles that open connections, besides the generator; an accepted connection occupies no port."""


def sources_for(subjects: Sequence[Subject], endpoint: Endpoint | None = None) -> Iterator[Source]:
    """Yield every source.

    Args:
        subjects: All watched subjects; those of the system under test matter here.
        endpoint: Where the load goes. On this host its listener is read even without any subject.
    """
    yield from _host()
    watched = [subject for subject in subjects if subject.role in _WATCHED and subject.pid is not None]
    for scope, members in _namespaces(watched).items():
        if scope == HOST_NETWORK:
            yield from _own_network(members, _local_port(endpoint), endpoint.port if endpoint else 0)
        elif (pid := members[0].pid) is not None:
            yield from _network(scope, pid)
            yield Listeners(scope, pid, _owners(members))
            if any(member.role in _CONNECTING for member in members):
                yield Ports(scope, pid)
    for subject in watched:
        yield from _subject(subject)


def _host() -> Iterator[Source]:
    yield FunctionSource("host", "cpu", host.read_cpus)
    yield FunctionSource("host", "softnet", host.read_softnet, every_second=False)
    yield FunctionSource("host", "psi", host.read_pressure, every_second=False)
    yield FunctionSource("host", "memory", host.read_memory)


def _subject(subject: Subject) -> Iterator[Source]:
    yield Threads(subject)
    yield FunctionSource(subject.name, "fds", partial(read_files, subject))
    yield FunctionSource(subject.name, "ctx", partial(read_switches, subject), every_second=False)
    if subject.kind == "cgroup":
        yield FunctionSource(subject.name, "memory", partial(read_group_memory, memory_folder(subject)))


def _network(scope: str, pid: int) -> Iterator[Source]:
    yield FunctionSource(scope, "tcp", partial(read_tcp, pid))
    yield FunctionSource(scope, "conntrack", partial(read_conntrack, pid))


def _own_network(members: Sequence[Subject], port: int | None, to: int) -> Iterator[Source]:
    """Yield sources of the runner's own namespace; other programs' listeners in it are left out."""
    own, scope = os.getpid(), HOST_NETWORK
    owners = _owners(members)
    yield from _network(scope, own)
    yield Ports(scope, own, to)
    if owners or port is not None:
        yield Listeners(scope, own, owners, (port,) if port is not None else ())


def _owners(members: Sequence[Subject]) -> tuple[int, ...]:
    """Return the processes whose listeners are read: Docker runs a name server in every container."""
    return tuple(pid for member in members for pid in processes(member))


def _namespaces(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Return the members of every network namespace, the runner's own first and always."""
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
        is_local = ipaddress.ip_address(endpoint.address or endpoint.host).is_loopback
    except ValueError:
        is_local = endpoint.host == "localhost"
    return endpoint.port if is_local else None
