"""Keeps the agents of a run from one stack to the next, where both need them on the same nodes.

Agents take seconds to start, and most of that is spent on their networks. All stacks of a run use one network
of that name in any case; a stack starts when no program of the stack before is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import trio

from runner.core.errors import StackFailed
from runner.core.units import Seconds

if TYPE_CHECKING:
    from runner.cluster.client import Cluster
    from runner.cluster.placement import Node
    from runner.experiment.base_topology import BaseTopology
    from runner.stack.protocols import StackContext
    from runner.stack.swarm.agent_needs import AgentNeeds
    from runner.stack.swarm.missing_images import NeededImage
    from runner.stack.swarm.placer import SwarmPlacer
    from runner.stack.swarm.preparation import PreparedStack

_KEPT_FOR_S: Final[Seconds] = 12 * 3600
"""Agents end themselves a day after their start: later ones are for stacks that begin later."""


@dataclass(frozen=True, slots=True)
class Agents:
    """Agents that have joined, for one stack.

    Attributes:
        placer: Places the stack.
        cluster: The agents.
        prepared: What the stack is made of, if it runs in the swarm.
    """

    placer: SwarmPlacer
    cluster: Cluster
    prepared: PreparedStack | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where agents run; those of two stacks are the same if this is."""

    nodes: frozenset[str]
    registry: str | None
    on_host_network: bool
    beside_parts: bool


@dataclass(slots=True)
class _Kept:
    """Agents that the next stack may use.

    Attributes:
        place: Where the agents run.
        since: When they had joined.
        has_images: Images of parts, each with the nodes that were asked for it and have it.
    """

    placer: SwarmPlacer
    cluster: Cluster
    place: _Place
    since: float
    has_images: set[tuple[str, frozenset[str]]] = field(default_factory=set)


class RunAgents:
    """The agents of a run; an asynchronous context manager, at whose end they are removed.

    The task that enters it calls `around`, outside of any nursery and cancel scope that it has opened since.
    """

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._kept: _Kept | None = None

    async def __aenter__(self) -> Self:
        """Provide this."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Remove the agents, if there are any."""
        self._kept = None
        return await self._stack.__aexit__(kind, error, trace)

    async def around(
        self, topology: BaseTopology, wanted: int | tuple[str, ...], context: StackContext
    ) -> Agents:
        """Return agents on the nodes that a stack needs, and prepare the stack.

        Args:
            topology: Of the stack.
            wanted: ``load.nodes``.
            context: Of the stack.

        Raises:
            EnvironmentLacks: There is no swarm, it has too few nodes, or an agent does not start.
        """
        from runner.execution.load_nodes import choose_nodes  # noqa: PLC0415  (other runs start faster without)
        from runner.stack.swarm.agent_needs import agent_needs  # noqa: PLC0415

        needs = agent_needs(topology)
        if self._kept and not _lives(self._kept):
            await self.close()
        placer = self._kept.placer if self._kept else await self._connect(context)
        nodes = await placer.nodes()
        used = needs.nodes(nodes, choose_nodes(wanted, nodes))
        place = _Place(
            frozenset(node.id for node in used),
            needs.registry,
            needs.on_host_network,
            needs.swarm is not None,
        )
        if self._kept and self._kept.place != place:
            await self.close()
            placer = await self._connect(context)
        prepared = await needs.prepare(placer, context, nodes)
        if self._kept:
            await _ready_again(self._kept, prepared)
        else:
            self._kept = await self._start(placer, place, used, needs, prepared, context)
        return Agents(placer, self._kept.cluster, prepared)

    async def _connect(self, context: StackContext) -> SwarmPlacer:
        from runner.stack.swarm.placer import open_placer  # noqa: PLC0415

        await self.close()  # an earlier stack whose agents did not start has left its connection
        return await self._stack.enter_async_context(open_placer(context))

    async def close(self) -> None:
        """Remove the agents, such as before a stack that needs none: they would use processors beside it."""
        self._kept = None
        await self._stack.aclose()

    async def _start(
        self,
        placer: SwarmPlacer,
        place: _Place,
        nodes: Sequence[Node],
        needs: AgentNeeds,
        prepared: PreparedStack | None,
        context: StackContext,
    ) -> _Kept:
        from runner.cluster.opening import open_cluster  # noqa: PLC0415
        from runner.stack.swarm.agent_image import agent_image  # noqa: PLC0415
        from runner.stack.swarm.missing_images import is_for_lack_of_an_image, refuse_missing  # noqa: PLC0415

        image = await agent_image(placer, nodes, needs.registry, context.say)
        parts = _not_pulled(prepared)
        opening = open_cluster(
            placer,
            run_id=context.run_id,
            image=image.name,
            nodes=image.nodes,
            networks=await needs.networks(placer),
            host_network=place.on_host_network,
            say=context.say,
            beside=lambda: refuse_missing(placer, parts),
        )
        try:
            cluster = await self._stack.enter_async_context(opening)
        except StackFailed as failed:
            if is_for_lack_of_an_image(failed):
                await _refuse_missing(placer, image, prepared)
            raise
        kept = _Kept(placer, cluster, place, trio.current_time())
        kept.has_images |= set(map(_asked, parts))
        return kept


def _lives(kept: _Kept) -> bool:
    """Return whether all agents take part and will do so for long enough."""
    cluster, age_s = kept.cluster, trio.current_time() - kept.since
    return not cluster.hub_lost and not cluster.lost and age_s < _KEPT_FOR_S


async def _ready_again(kept: _Kept, prepared: PreparedStack | None) -> None:
    """Wait for the end of the stack before, and ask the nodes for images that it did not have.

    Raises:
        ImagesMissing: Nodes lack images.
    """
    from runner.cluster.errors import open_nursery  # noqa: PLC0415
    from runner.stack.swarm.missing_images import refuse_missing  # noqa: PLC0415
    from runner.stack.swarm.part_images import NAME_A_REGISTRY  # noqa: PLC0415

    parts = [one for one in _not_pulled(prepared) if _asked(one) not in kept.has_images]
    async with open_nursery() as nursery:
        nursery.start_soon(kept.placer.wait_removed)
        await refuse_missing(kept.placer, parts, hint=NAME_A_REGISTRY)
    kept.has_images |= set(map(_asked, parts))


def _not_pulled(prepared: PreparedStack | None) -> tuple[NeededImage, ...]:
    """Return the images of the parts that nodes do not pull themselves."""
    return tuple(prepared.images.not_pulled) if prepared else ()


def _asked(image: NeededImage) -> tuple[str, frozenset[str]]:
    """Return an image and the nodes that are asked for it."""
    return image.name, frozenset(node.id for node in image.nodes)


async def _refuse_missing(placer: SwarmPlacer, agents: NeededImage, prepared: PreparedStack | None) -> None:
    """Name every node that lacks an image of agents or of parts.

    Raises:
        ImagesMissing: Nodes lack images.
    """
    from runner.stack.swarm.missing_images import refuse_missing  # noqa: PLC0415
    from runner.stack.swarm.part_images import NAME_A_REGISTRY  # noqa: PLC0415

    hint = NAME_A_REGISTRY if prepared else ""
    await refuse_missing(placer, [agents, *_not_pulled(prepared)], hint=hint)
