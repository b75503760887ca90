"""The images of the parts of a stack: obtained on the manager's engine, and the same on every node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from runner.cluster.placement import Node
from runner.core.codes import Role, RoleName
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.experiment.suggestions import join_words
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.docker.stack_images import StackImages, obtain_images
from runner.stack.protocols import StackContext
from runner.stack.swarm.architectures import refuse_other_architectures
from runner.stack.swarm.images import pin_images
from runner.stack.swarm.missing_images import NeededImage, is_for_lack_of_an_image, refuse_missing
from runner.stack.swarm.node_choice import meets, ready_nodes
from runner.stack.swarm.placer import SwarmPlacer

_HELD_BACK: Final = frozenset({"drain", "pause"})
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
    def not_pulled(self) -> Iterator[NeededImage]:
        """Those that nodes must have, because no registry gives them."""
        return (one for one in self.needed.values() if one.name == one.image.id)

    @property
    def pinned(self) -> Mapping[RoleName, str]:
        """How nodes name the image of each role."""
        return {role: one.name for role, one in self.needed.items()}


async def obtain_part_images(
    placer: SwarmPlacer, topology: SwarmTopology, context: StackContext, nodes: Sequence[Node]
) -> PartImages:
    """Return the images, pushed to the registry if the topology names one.

    Raises:
        EnvironmentLacks: An image cannot be obtained, or is for other processors than those of its nodes.
        StackFailed: The registry does not take an image.
    """
    stack = await obtain_images(placer.engine, topology, context)
    images = {role: stack.by_role[role] for role, _ in _constraints(topology)}
    needed = {
        role: NeededImage(role, images[role], ready_nodes(nodes, constraints), images[role].id)
        for role, constraints in _constraints(topology)
    }
    refuse_other_architectures(needed.values())
    pinned = await pin_images(placer, images, topology.registry, context.say)
    return PartImages(stack, {role: replace(one, name=pinned[role]) for role, one in needed.items()})


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


def refuse_without_node(topology: SwarmTopology, nodes: Sequence[Node]) -> None:
    """Raise EnvironmentLacks if no node that is ready meets the constraints of a part."""
    for role, constraints in _constraints(topology):
        if not ready_nodes(nodes, constraints):
            raise _without_node(role, constraints, nodes)


def _without_node(role: RoleName, constraints: Sequence[str], nodes: Sequence[Node]) -> EnvironmentLacks:
    key = role if role in (Role.APP, Role.PROXY) else f"services.{role}"
    known = join_words([f"{node.name} ({node.state})" for node in nodes] or ["none"], "and")
    message = "no node of the swarm is ready: "
    if constraints:
        message = f"no node of the swarm meets topology.{key}.nodes: {join_words(constraints, 'and')}; "
    return EnvironmentLacks(f"{message}nodes are {known}", hint=_advice(constraints, nodes))


def _advice(constraints: Sequence[str], nodes: Sequence[Node]) -> str:
    """Return what to do: use a node that meets the constraints, if there is one, else label one."""
    unused = sorted((node for node in nodes if meets(node, constraints)), key=lambda node: node.name)
    if held := [node.name for node in unused if node.state in _HELD_BACK]:
        return f"`docker node update --availability active {held[0]}` lets it take tasks again"
    if unused:
        return f"bring {unused[0].name} back: `docker node ls` shows its state"
    return "`docker node update --label-add KEY=VALUE NODE` labels a node"
