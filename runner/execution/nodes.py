"""Brings agents up on the nodes of a cluster around a stack, and decides which of them send the load."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from runner.cluster.facts import on_same_machine
from runner.core.codes import Role
from runner.core.facts import TrialFacts
from runner.core.system_facts import NodeFacts
from runner.core.units import BYTES_PER_MIB
from runner.execution.context import RunContext
from runner.execution.lost_nodes import absent
from runner.experiment.model import Configuration
from runner.stack.protocols import Stack

if TYPE_CHECKING:
    from runner.cluster.client import Cluster
    from runner.cluster.placement import Node
    from runner.core.load_facts import LoadFacts
    from runner.load.nodes import GeneratorNodes


@asynccontextmanager
async def agents_around(configuration: Configuration, context: RunContext) -> AsyncIterator[RunContext]:
    """Provide agents on the nodes that a configuration needs; nothing for this machine.

    They stay for the next stack that needs them. Kind swarm has one on every node that is ready, because they
    observe what runs there; other kinds on the nodes that send the load.

    Raises:
        EnvironmentLacks: There is no swarm, it has too few nodes, or an agent does not start.
    """
    wanted = configuration.load_nodes
    if wanted is None:
        await context.agents.close()
        yield context
        return
    stack_context = context.stack_context(configuration)
    agents = await context.agents.around(configuration.topology, wanted, stack_context)
    async with _clocks_in_background(agents.cluster):
        yield replace(context, cluster=agents.cluster, placer=agents.placer, prepared=agents.prepared)


@asynccontextmanager
async def _clocks_in_background(cluster: Cluster) -> AsyncIterator[None]:
    """Measure the clocks of nodes while a stack starts, so that no node's observation begins late."""
    from runner.cluster.errors import HubLost, open_nursery  # noqa: PLC0415

    async def measure() -> None:
        with suppress(HubLost):  # the next use of the hub reports the loss
            await cluster.first_clocks()

    async with open_nursery() as nursery:
        nursery.start_soon(measure)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def generators_for(
    stack: Stack, configuration: Configuration, context: RunContext
) -> AsyncIterator[RunContext]:
    """Provide the nodes that send a configuration's load; nothing for this machine.

    Raises:
        EnvironmentLacks: A node does not reach the system.
    """
    wanted, cluster = configuration.load_nodes, context.cluster
    if wanted is None or cluster is None:
        yield context
        return
    from runner.execution.load_nodes import check_reachable, choose_nodes  # noqa: PLC0415
    from runner.load.cluster_processes import ClusterProcesses  # noqa: PLC0415
    from runner.load.node_files import NodeFiles  # noqa: PLC0415
    from runner.load.nodes import GeneratorNodes  # noqa: PLC0415

    chosen = choose_nodes(
        wanted,
        [node for name, node in cluster.nodes.items() if name not in cluster.lost],
        cores={name: agent.cores for name, agent in cluster.agents.items()},
        busy=set((stack.description.placement or {}).values()),
    )
    names = tuple(node.name for node in chosen)
    context.watcher.say(f"{configuration.name}: load comes from {', '.join(names)}")
    await check_reachable(stack.endpoint, names, cluster)
    await cluster.first_clocks()
    async with ClusterProcesses(cluster) as processes:
        site = GeneratorNodes(cluster, names, processes, NodeFiles(processes.open_keeper))
        yield replace(context, site=site)


def with_nodes(facts: TrialFacts, context: RunContext) -> TrialFacts:
    """Return the facts of a trial with a description of the nodes that sent its load.

    A trial in which the hub was lost is aborted, so that a resumed run repeats it.
    """
    if context.cluster is None or context.site is None or (topology := facts.topology) is None:
        return facts
    if facts.load and context.site.returned:
        back = [structs.replace(one, returned=one.node in context.site.returned) for one in facts.load.nodes]
        facts = structs.replace(facts, load=structs.replace(facts.load, nodes=tuple(back)))
    if facts.load:
        facts = structs.replace(facts, load=_with_absent(facts.load, context.site, context.cluster))
    known = dict(topology.nodes or {})
    for name in context.site.names:
        node = known.get(name) or _node_facts(context.cluster.nodes[name])
        known[name] = structs.replace(
            node,
            kernel=node.kernel or context.cluster.agents[name].kernel,
            runs=(*node.runs, Role.GENERATOR.value),
            same_machine=on_same_machine(context.cluster.agents, name),
        )
    facts = structs.replace(facts, topology=structs.replace(topology, nodes=known))
    return structs.replace(facts, status="aborted") if context.cluster.hub_lost else facts


def _with_absent(load: LoadFacts, site: GeneratorNodes, cluster: Cluster) -> LoadFacts:
    """Return what was offered with a note for each node that had been lost before."""
    took_part = {one.node for one in load.nodes}
    notes = [note for name, note in absent(site, cluster).items() if name not in took_part]
    return structs.replace(load, notes=(*load.notes, *notes))


def _node_facts(node: Node) -> NodeFacts:
    return NodeFacts(
        name=node.name,
        cores=node.cores,
        memory_mib=round(node.memory_bytes / BYTES_PER_MIB, 1),
        architecture=node.architecture,
        engine=node.engine_version,
    )
