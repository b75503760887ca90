"""What can be known of a stack before anything of it is placed: its files, its nodes and its images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from runner.cluster.placement import Node, PlacedFile
from runner.core.codes import RoleName
from runner.core.errors import EnvironmentLacks
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext
from runner.stack.secrets import inherited_variables
from runner.stack.swarm.node_choice import ready_nodes
from runner.stack.swarm.part_images import PartImages, obtain_part_images, refuse_without_node
from runner.stack.swarm.placed_files import read_placed_files
from runner.stack.swarm.placer import SwarmPlacer


@dataclass(frozen=True, slots=True)
class PreparedStack:
    """What the parts of a stack are made of.

    Attributes:
        images: Of the parts, on the manager's engine or in the registry.
        files: Role to the files that its part is given.
        secrets: Name to value of each secret.
    """

    images: PartImages
    files: Mapping[RoleName, tuple[PlacedFile, ...]] = field(repr=False)
    secrets: Mapping[str, bytes] = field(repr=False)


async def prepare_stack(
    placer: SwarmPlacer, topology: SwarmTopology, context: StackContext, nodes: Sequence[Node]
) -> PreparedStack:
    """Read the files and obtain the images of a stack, in the order of what that takes.

    Args:
        placer: Whose engine gets the images.
        topology: Of the stack.
        context: Of the stack.
        nodes: All nodes of the swarm.

    Raises:
        EnvironmentLacks: A file, a variable, a node or an image is missing.
        StackFailed: The registry does not take an image.
    """
    files, secrets = await read_placed_files(topology, context.base_dir)
    _check_variables(topology)
    refuse_without_node(topology, nodes)
    nodes_of_replicas(topology, nodes)
    return PreparedStack(await obtain_part_images(placer, topology, context, nodes), files, secrets)


def nodes_of_replicas(topology: SwarmTopology, nodes: Sequence[Node]) -> Sequence[Node]:
    """Return a node for each replica where they use the nodes' own network, else nothing.

    Raises:
        EnvironmentLacks: There are too few.
    """
    if topology.path != "host":
        return ()
    app = topology.app
    usable = ready_nodes(nodes, app.nodes)
    if len(usable) < app.replicas:
        raise EnvironmentLacks(
            f"path host needs a node for each of the {app.replicas} replicas, and {len(usable)} of "
            f"{len(nodes)} nodes can run one",
            hint="lower topology.app.replicas, or use path overlay or published",
        )
    return usable[: app.replicas]


def _check_variables(topology: SwarmTopology) -> None:
    """Raise EnvironmentLacks if a variable that a part inherits is not set."""
    inherited_variables(topology.app.env_from, os.environ, "app")
    for name, service in topology.services.items():
        inherited_variables(service.env_from, os.environ, f"services.{name}")
