"""A constraint that no node meets is named before anything is obtained or placed."""

from pathlib import Path

import pytest

from runner.cluster.placement import Node
from runner.core.errors import EnvironmentLacks
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext, Unguarded
from runner.stack.swarm.part_images import obtain_part_images

NODES = [
    Node("1", "node-1", "192.0.2.1", 4, 2**33, "amd64", is_manager=True),
    Node("2", "node-2", "192.0.2.2", 4, 2**33, "amd64", state="down", labels={"role": "app"}),
]
APP = {"image": "a", "port": 80}


@pytest.mark.parametrize(
    ("changes", "nodes", "message"),
    [
        (
            {"app": {**APP, "nodes": ["node.labels.role==app", "node.role==worker"]}},
            NODES,
            (
                "no node of the swarm meets topology.app.nodes: node.labels.role==app and node.role==worker; "
                "nodes are node-1 (ready) and node-2 (down)"
            ),
        ),
        (
            {"services": {"db": {"image": "b", "nodes": ["node.hostname==node-3"]}}},
            NODES,
            (
                "no node of the swarm meets topology.services.db.nodes: node.hostname==node-3; "
                "nodes are node-1 (ready) and node-2 (down)"
            ),
        ),
        (
            {"proxy": {"nodes": ["node.role!=manager"]}},
            NODES,
            (
                "no node of the swarm meets topology.proxy.nodes: node.role!=manager; "
                "nodes are node-1 (ready) and node-2 (down)"
            ),
        ),
        ({}, NODES[1:], "no node of the swarm is ready: nodes are node-2 (down)"),
    ],
)
async def test_a_part_that_no_node_can_run_is_named_before_anything_is_placed(changes, nodes, message):
    topology = SwarmTopology.model_validate({"kind": "swarm", "app": APP, **changes})
    context = StackContext("r", "c", Path(), Path(), Unguarded(), print)

    with pytest.raises(EnvironmentLacks) as lacks:
        await obtain_part_images(None, topology, context, nodes)

    assert lacks.value.message == message
