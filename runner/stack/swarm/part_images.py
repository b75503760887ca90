"""The images of the parts of a stack: obtained on the manager's engine, and the same on every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runner.cluster.placement import Node
from runner.core.codes import Role, RoleName
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.experiment.suggestions import join_words
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.docker.stack_images import StackImages, obtain_images
from runner.stack.protocols import StackContext
from runner.stack.swarm.images import pin_images
from runner.stack.swarm.missing_images import NeededImage, is_for_lack_of_an_image, refuse_missing
from runner.stack.swarm.node_choice import ready_nodes
from runner.stack.swarm.placer import SwarmPlacer

NAME_A_REGISTRY: Final = "or name a registry that all nodes reach: topology.registry"


@dataclass(frozen=True, slots=True)
class PartImages:
    """The images of a stack.

    Attributes:
        stack: As the manager's engine has them.
        needed: By role.
    """

    stack: StackImages
    needed: Mapping[RoleName, NeededImage]

    @property
    def pinned(self) -> Mapping[RoleName, str]:
        """How nodes name the image of each role."""
        return {role: one.name for role, one in self.needed.items()}


async def obtain_part_images(
    placer: SwarmPlacer, topology: SwarmTopology, context: StackContext, nodes: Sequence[Node]
) -> PartImages:
    """Return the images, pushed to the registry if the topology names one.

    Raises:
        EnvironmentLacks: No node meets the constraints of a part, or an image cannot be obtained.
        StackFailed: The registry does not take an image.
    """
    for role, constraints in _constraints(topology):
        _refuse_without_node(role, constraints, nodes)
    stack = await obtain_images(placer.engine, topology, context)
    images = {role: stack.by_role[role] for role, _ in _constraints(topology)}
    pinned = await pin_images(placer, images, topology.registry, context.say)
    needed = {
        role: NeededImage(role, images[role], ready_nodes(nodes, constraints), pinned[role])
        for role, constraints in _constraints(topology)
    }
    return PartImages(stack, needed)


async def explain_missing(placer: SwarmPlacer, images: PartImages, failed: StackFailed) -> None:
    """Name every node that lacks an image, if that is why a task failed.

    Raises:
        StackFailed: Nodes lack images.
    """
    if is_for_lack_of_an_image(failed):
        await refuse_missing(placer, images.needed.values(), hint=NAME_A_REGISTRY)


def _constraints(topology: SwarmTopology) -> list[tuple[RoleName, tuple[str, ...]]]:
    services = [(name, service.nodes) for name, service in topology.services.items()]
    proxy = [(Role.PROXY, topology.proxy.nodes)] if topology.proxy else []
    return [*services, (Role.APP, topology.app.nodes), *proxy]


def _refuse_without_node(role: RoleName, constraints: Sequence[str], nodes: Sequence[Node]) -> None:
    if ready_nodes(nodes, constraints):
        return
    key = role if role in (Role.APP, Role.PROXY) else f"services.{role}"
    known = join_words([f"{node.name} ({node.state})" for node in nodes] or ["none"], "and")
    if not constraints:
        raise EnvironmentLacks(
            f"no node of the swarm is ready: nodes are {known}", hint="see `docker node ls`"
        )
    raise EnvironmentLacks(
        f"no node of the swarm meets topology.{key}.nodes: {join_words(constraints, 'and')}; "
        f"nodes are {known}",
        hint="`docker node update --label-add KEY=VALUE NODE` labels a node",
    )
