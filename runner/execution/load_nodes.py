"""Which nodes of a cluster send the load, and whether they reach the system."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import trio

from runner.cluster.client import Cluster
from runner.cluster.errors import AgentFailed
from runner.cluster.facts import ProbeResult
from runner.cluster.placement import Node
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.units import Cores, Seconds
from runner.stack.swarm.node_choice import ready_nodes

_REACHED_WITHIN_S: Final[Seconds] = 5.0
_LIST: Final = "`docker node ls` lists the nodes of the swarm and their states"


def choose_nodes(
    wanted: int | tuple[str, ...],
    nodes: Sequence[Node],
    *,
    cores: Mapping[str, Cores] | None = None,
    busy: Collection[str] = (),
) -> tuple[Node, ...]:
    """Return the nodes that send the load.

    Of a number of nodes, those that run no part of the system come first, then those with more cores, then by
    name. Of constraints, all nodes that meet them.

    Args:
        wanted: ``load.nodes``.
        nodes: Of the cluster.
        cores: Node to the cores that an agent on it may use; None to go by the engine's own count.
        busy: Names of nodes that run a part of the system.

    Raises:
        EnvironmentLacks: There are too few.
    """
    if not isinstance(wanted, int):
        return _meeting(wanted, nodes)
    ready = ready_nodes(nodes, ())
    if len(ready) < wanted:
        known_nodes = ", ".join(f"{node.name} ({node.state})" for node in nodes) or "none"
        raise EnvironmentLacks(
            f"load.nodes is {wanted}, but only {len(ready)} of the swarm's nodes can be used; "
            f"nodes are {known_nodes}",
            hint=_LIST,
        )
    known = cores or {}
    in_order = sorted(
        ready, key=lambda node: (node.name in busy, -known.get(node.name, node.cores), node.name)
    )
    return tuple(sorted(in_order[:wanted], key=lambda node: node.name))


def _meeting(constraints: tuple[str, ...], nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return all nodes that are ready and meet the constraints; raises if there are none."""
    chosen = ready_nodes(nodes, constraints)
    if not chosen:
        raise EnvironmentLacks(
            f"load.nodes: none of the {len(nodes)} nodes of the swarm is ready and meets "
            f"{' and '.join(constraints)}",
            hint=f"{_LIST}; `docker node update --label-add role=load NODE` labels one",
        )
    return chosen


async def check_reachable(endpoint: Endpoint, nodes: Sequence[str], cluster: Cluster) -> None:
    """Check that each node can connect to the system.

    Raises:
        EnvironmentLacks: One cannot; the message names it and says why.
    """
    addresses = endpoint.addresses or (endpoint.address or endpoint.host,)
    for address in addresses:
        if _is_loopback(address):
            raise EnvironmentLacks(
                f"load.nodes: {endpoint.host} is {address}, which on each node is that node itself",
                hint="use an address of the system that other machines reach, and let it listen there",
            )
    failures: list[str] = []

    async def probe(node: str, address: str) -> None:
        try:
            result: ProbeResult = await cluster.probe(node, address, endpoint.port, within=_REACHED_WITHIN_S)
        except AgentFailed as error:
            failures.append(error.message)
            return
        if result.connect_s is None:
            failures.append(f"{node} cannot connect to {address} port {endpoint.port}: {result.error}")

    async with trio.open_nursery() as nursery:
        for node in nodes:
            for address in addresses:
                nursery.start_soon(probe, node, address)
    if failures:
        raise EnvironmentLacks(
            min(failures),
            hint="open that port to the nodes, or choose other nodes with load.nodes",
            details=tuple(sorted(failures)[1:]),
        )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.split("%", maxsplit=1)[0]).is_loopback
    except ValueError:
        return address == "localhost"
