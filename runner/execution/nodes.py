"""Brings agents up on the nodes of a cluster around a stack, and decides which of them send the load."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from runner.core.codes import Role
from runner.core.errors import StackFailed
from runner.core.facts import TrialFacts
from runner.core.system_facts import NodeFacts
from runner.core.units import BYTES_PER_MIB
from runner.execution.context import RunContext
from runner.experiment.model import Configuration
from runner.stack.protocols import Stack

if TYPE_CHECKING:
    from runner.cluster.client import Cluster
    from runner.cluster.placement import Node
    from runner.stack.protocols import StackContext
    from runner.stack.swarm.agent_needs import AgentNeeds
    from runner.stack.swarm.missing_images import NeededImage
    from runner.stack.swarm.placer import SwarmPlacer
    from runner.stack.swarm.preparation import PreparedStack


@asynccontextmanager
async def agents_around(configuration: Configuration, context: RunContext) -> AsyncIterator[RunContext]:
    """Provide agents on the nodes that a configuration needs, and remove them; nothing for this machine.

    Kind swarm has one on every node that is ready, because they observe what runs there; other kinds on the
    nodes that send the load.

    Raises:
        EnvironmentLacks: There is no swarm, it has too few nodes, or an agent does not start.
    """
    wanted = configuration.load_nodes
    if wanted is None:
        yield context
        return
    from runner.execution.load_nodes import choose_nodes  # noqa: PLC0415  (other runs start faster without)
    from runner.stack.swarm.agent_image import agent_image  # noqa: PLC0415
    from runner.stack.swarm.agent_needs import agent_needs  # noqa: PLC0415
    from runner.stack.swarm.placer import open_placer  # noqa: PLC0415

    needs = agent_needs(configuration.topology)
    stack_context = context.stack_context(configuration)
    async with open_placer(stack_context) as placer:
        nodes = await placer.nodes()
        load_nodes = choose_nodes(wanted, nodes)
        used = needs.nodes(nodes, load_nodes)
        prepared = await needs.prepare(placer, stack_context, nodes)
        image = await agent_image(placer, used, needs.registry, stack_context.say)
        images = _Images(placer, image, prepared)
        async with (
            _agents(placer, images, needs, stack_context) as cluster,
            _clocks_in_background(cluster),
        ):
            yield replace(context, cluster=cluster, placer=placer, prepared=prepared)


@dataclass(frozen=True, slots=True)
class _Images:
    """The images that nodes need before anything runs there: of agents, and of the parts of a system."""

    placer: SwarmPlacer
    agents: NeededImage
    prepared: PreparedStack | None

    @property
    def parts(self) -> tuple[NeededImage, ...]:
        """Those of the parts that nodes do not pull themselves."""
        return tuple(self.prepared.images.not_pulled) if self.prepared else ()

    async def check_parts(self) -> None:
        """Ask the nodes for the images of the parts; if one is missing, for that of agents as well.

        Raises:
            ImagesMissing: Nodes lack images.
        """
        from runner.stack.swarm.missing_images import ImagesMissing, refuse_missing  # noqa: PLC0415

        try:
            await refuse_missing(self.placer, self.parts)
        except ImagesMissing:
            await self.refuse_missing()

    async def refuse_missing(self) -> None:
        """Name every node that lacks an image.

        Raises:
            ImagesMissing: Nodes lack images.
        """
        from runner.stack.swarm.missing_images import refuse_missing  # noqa: PLC0415
        from runner.stack.swarm.part_images import NAME_A_REGISTRY  # noqa: PLC0415

        hint = NAME_A_REGISTRY if self.prepared else ""
        await refuse_missing(self.placer, [self.agents, *self.parts], hint=hint)


@asynccontextmanager
async def _agents(
    placer: SwarmPlacer, images: _Images, needs: AgentNeeds, stack_context: StackContext
) -> AsyncIterator[Cluster]:
    from runner.cluster.opening import open_cluster  # noqa: PLC0415
    from runner.stack.swarm.missing_images import is_for_lack_of_an_image  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        opening = open_cluster(
            placer,
            run_id=stack_context.run_id,
            image=images.agents.name,
            nodes=images.agents.nodes,
            networks=await needs.networks(placer),
            host_network=needs.on_host_network,
            say=stack_context.say,
            beside=images.check_parts,
        )
        try:
            cluster = await stack.enter_async_context(opening)
        except StackFailed as failed:
            if is_for_lack_of_an_image(failed):
                await images.refuse_missing()
            raise
        yield cluster


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
    known = dict(topology.nodes or {})
    for name in context.site.names:
        node = known.get(name) or _node_facts(context.cluster.nodes[name])
        kernel = node.kernel or context.cluster.agents[name].kernel
        known[name] = structs.replace(node, kernel=kernel, runs=(*node.runs, Role.GENERATOR.value))
    facts = structs.replace(facts, topology=structs.replace(topology, nodes=known))
    return structs.replace(facts, status="aborted") if context.cluster.hub_lost else facts


def _node_facts(node: Node) -> NodeFacts:
    return NodeFacts(
        name=node.name,
        cores=node.cores,
        memory_mib=round(node.memory_bytes / BYTES_PER_MIB, 1),
        architecture=node.architecture,
        engine=node.engine_version,
    )
