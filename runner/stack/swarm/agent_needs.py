"""What a kind of topology asks of the agents around its stack, and what it prepares beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.cluster.placement import Node
from runner.experiment.base_topology import BaseTopology
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext
from runner.stack.swarm.node_choice import ready_nodes
from runner.stack.swarm.placer import SwarmPlacer
from runner.stack.swarm.preparation import PreparedStack, prepare_stack


@dataclass(frozen=True, slots=True)
class AgentNeeds:
    """What agents need beside the nodes that send load; by default, around a system outside the swarm.

    Attributes:
        swarm: The description of a stack that is prepared with them; None for other kinds.
    """

    swarm: SwarmTopology | None = None

    @property
    def registry(self) -> str | None:
        """Where their image is pushed to; None without a registry."""
        return self.swarm.registry if self.swarm else None

    @property
    def on_host_network(self) -> bool:
        """Whether they use the nodes' own network namespaces."""
        return self.swarm is not None and self.swarm.path == "host"

    def nodes(self, every: Sequence[Node], load_nodes: Sequence[Node]) -> Sequence[Node]:
        """Return the nodes that they run on: where a stack is in the swarm, they observe all of them."""
        return ready_nodes(every, ()) if self.swarm else load_nodes

    async def networks(self, placer: SwarmPlacer) -> tuple[str, ...]:
        """Return the networks that they share with the system."""
        return (await placer.network("data"),) if self.swarm and not self.on_host_network else ()

    async def prepare(
        self, placer: SwarmPlacer, context: StackContext, nodes: Sequence[Node]
    ) -> PreparedStack | None:
        """Prepare the stack; None for other kinds. See `prepare_stack`."""
        return await prepare_stack(placer, self.swarm, context, nodes) if self.swarm else None


def agent_needs(topology: BaseTopology) -> AgentNeeds:
    """Return what a topology of any kind needs of agents."""
    return _NEEDS.get(topology.kind, _of_others)(topology)


def _of_others(_: BaseTopology) -> AgentNeeds:
    return AgentNeeds()


# `Any`: each takes the model of its own kind only, as `runner.stack.protocols.StackOpener` does
_NEEDS: Final[Mapping[str, Callable[[Any], AgentNeeds]]] = {"swarm": AgentNeeds}
