"""The counters to read for the watched subjects: every namespace and every subject once."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

from runner.core.codes import Role, is_service
from runner.core.endpoint import Endpoint
from runner.core.observed_facts import Subject
from runner.observe.counters import host
from runner.observe.counters.disks import read_disks
from runner.observe.counters.files import read_files
from runner.observe.counters.io import io_of
from runner.observe.counters.io_limits import IoLimits
from runner.observe.counters.io_waits import IoWaits
from runner.observe.counters.level import FunctionSource, Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.members import processes
from runner.observe.counters.memory import memory_folder, read_group_memory
from runner.observe.counters.namespace import namespace_of
from runner.observe.counters.network import HOST_NETWORK, network_counters
from runner.observe.counters.node_networks import node_networks
from runner.observe.counters.ports import Ports
from runner.observe.counters.process_titles import ProcessTitles
from runner.observe.counters.threads import Switches, Threads
from runner.observe.readers import own_group
from runner.observe.roots import are_foreign

_WATCHED: Final = frozenset({Role.APP, Role.PROXY, Role.FORWARDER})
_CONNECTING: Final = (Role.APP, Role.PROXY, Role.FORWARDER)
"""Roles that open connections, besides the generator; an accepted connection occupies no port."""


def sources_for(
    subjects: Sequence[Subject],
    endpoint: Endpoint | None = None,
    waits: IoWaits | None = None,
    listening: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> Iterator[Source]:
    """Yield every source.

    Args:
        subjects: All watched subjects; those of the system under test matter here.
        endpoint: Where the load goes. On this host its listener is read even without any subject.
        waits: Samples of the parts of the system.
        listening: On another machine, subject's name to the ports at which it is known to listen.
    """
    yield from _host()
    watched = parts_of_system(subjects)
    if waits is not None:
        yield FunctionSource("host", "io waits", waits.of_host, every_second=False)
        for subject in watched:
            read = partial(waits.of_part, subject)
            yield FunctionSource(subject.name, "io waits", read, every_second=False)
    if are_foreign():
        yield from node_networks(subjects, watched, listening)
    else:
        yield from _networks(watched, endpoint)
    for subject in watched:
        yield from _subject(subject)


def _networks(watched: Sequence[Subject], endpoint: Endpoint | None) -> Iterator[Source]:
    for scope, members in _namespaces(watched).items():
        if scope == HOST_NETWORK:
            yield from _own_network(members, _local_port(endpoint), endpoint.port if endpoint else 0)
        elif (pid := members[0].pid) is not None:
            yield from network_counters(scope, pid)
            yield from _listeners(scope, pid, members)
            if any(member.role in _CONNECTING for member in members):
                yield Ports(scope, pid)


def parts_of_system(subjects: Sequence[Subject]) -> list[Subject]:
    """Return the subjects that are parts of the system under test and run on this host."""
    parts = (one for one in subjects if one.role in _WATCHED or is_service(one.role))
    return [one for one in parts if one.pid is not None]


def _host() -> Iterator[Source]:
    yield FunctionSource("host", "cpu", host.read_cpus)
    yield FunctionSource("host", "softnet", host.read_softnet, every_second=False)
    yield FunctionSource("host", "psi", host.read_pressure, every_second=False)
    yield FunctionSource("host", "memory", host.read_memory)
    yield FunctionSource("host", "disk", read_disks, every_second=False)


def _subject(subject: Subject) -> Iterator[Source]:
    yield Threads(subject)
    slow = is_service(subject.role)  # a database may have a process for each connection
    yield FunctionSource(subject.name, "fds", partial(read_files, subject), every_second=not slow)
    if slow:
        yield ProcessTitles(subject)
    yield Switches(subject)
    if subject.kind == "cgroup":
        yield FunctionSource(subject.name, "memory", partial(read_group_memory, memory_folder(subject)))
    yield io_of(subject, own_group(subject))
    yield IoLimits(subject)


def _own_network(members: Sequence[Subject], port: int | None, to: int) -> Iterator[Source]:
    """Yield sources of the runner's own namespace; other programs' listeners in it are left out."""
    own, scope = os.getpid(), HOST_NETWORK
    yield from network_counters(scope, own)
    yield Ports(scope, own, to)
    yield from _listeners(scope, own, members, (port,) if port is not None else ())


def _listeners(
    scope: str, pid: int, members: Sequence[Subject], ports: tuple[int, ...] = ()
) -> Iterator[Source]:
    """Yield the accept queues of a namespace; those of a service are apart, below the service's name."""
    services = [member for member in members if is_service(member.role)]
    owners = _owners([member for member in members if member not in services])
    if owners or ports:
        yield Listeners(scope, pid, owners, ports)
    for service in services:
        if own := _owners([service]):
            yield Listeners(f"net:{service.name}", pid, own)


def _owners(members: Sequence[Subject]) -> tuple[int, ...]:
    """Return the processes whose listeners are read: Docker runs a name server in every container."""
    return tuple(pid for member in members for pid in processes(member))


def _namespaces(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Return the members of every network namespace, the runner's own first and always.

    One that a service shares with another part is named after that part.
    """
    scopes = {namespace_of("self"): HOST_NETWORK}
    members: dict[str, list[Subject]] = {HOST_NETWORK: []}
    for subject in sorted(subjects, key=lambda subject: is_service(subject.role)):
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
