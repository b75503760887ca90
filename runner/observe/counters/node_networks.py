"""The counters of network namespaces on a node, as far as an agent without privileges may read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runner.core.codes import Role
from runner.core.observed_facts import Subject
from runner.observe.counters.level import Source
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.namespace import namespace_of
from runner.observe.counters.network import HOST_NETWORK, network_counters
from runner.observe.counters.ports import Ports
from runner.observe.counters.queues import Hidden, Queues
from runner.observe.roots import network_of_machine, own_pid


def node_networks(
    subjects: Sequence[Subject], watched: Sequence[Subject], listening: Mapping[str, tuple[int, ...]]
) -> Iterator[Source]:
    """Yield the sources of every namespace: the node's own, the agent's and those of containers.

    Args:
        subjects: All watched subjects.
        watched: The parts of the system among them.
        listening: Subject's name to the ports at which it listens.
    """
    scopes = _scopes(subjects)
    yield from network_counters(HOST_NETWORK, network_of_machine())
    own = scopes.get(namespace_of("self"))
    if own is not None:
        if own != HOST_NETWORK:
            yield from network_counters(own, own_pid())
        yield Ports(own, own_pid())
    members = _members(watched, scopes)
    for scope, parts in members.items():
        pid = parts[0].pid or 0
        if scope not in {HOST_NETWORK, own}:
            yield from network_counters(scope, pid)
        ports = tuple(port for part in parts for port in listening.get(part.name, ()))
        yield from _queues(scope, pid, ports, may_enter=scope == own)
        if scope != own and any(part.role in {Role.PROXY, Role.FORWARDER} for part in parts):
            yield Hidden(scope, "ports")


def _scopes(subjects: Sequence[Subject]) -> dict[int | None, str]:
    """Return the names of the node's namespace, and of the agent's where it generates load."""
    scopes = {namespace_of(network_of_machine()): HOST_NETWORK}
    generator = next((subject.name for subject in subjects if subject.role == Role.GENERATOR), None)
    if generator is not None:
        scopes.setdefault(namespace_of("self"), f"net:{generator}")
    return scopes


def _members(watched: Sequence[Subject], scopes: dict[int | None, str]) -> dict[str, list[Subject]]:
    members: dict[str, list[Subject]] = {}
    for subject in watched:
        namespace = namespace_of(subject.pid or 0)
        if namespace is not None:
            members.setdefault(scopes.setdefault(namespace, f"net:{subject.name}"), []).append(subject)
    return members


def _queues(scope: str, pid: int, ports: tuple[int, ...], *, may_enter: bool) -> Iterator[Source]:
    """Yield the accept queues, in the node's own namespace only those of known ports: others listen there."""
    if scope == HOST_NETWORK and not ports:
        return
    if may_enter:
        yield Listeners(scope, own_pid(), (), ports)
    else:
        yield Queues(scope, pid, ports)
        yield Hidden(scope, "tcp.listener_drops")
