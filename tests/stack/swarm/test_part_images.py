"""A constraint that no node meets is named before anything is obtained or placed."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.cluster.placement import Node
from runner.core.errors import EnvironmentLacks
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext, Unguarded
from runner.stack.swarm.preparation import prepare_stack

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
        (
            {"path": "host", "app": {**APP, "replicas": 2}, "proxy": {}},
            NODES,
            "path host needs a node for each of the 2 replicas, and 1 of 2 nodes can run one",
        ),
        (
            {"services": {"db": {"image": "b", "env_from": ["LP_NOT_SET"]}}},
            NODES,
            "topology.services.db.env_from: LP_NOT_SET is not set in the environment",
        ),
    ],
)
async def test_a_part_that_no_node_can_run_is_named_before_anything_is_placed(changes, nodes, message):
    topology = SwarmTopology.model_validate({"kind": "swarm", "app": APP, **changes})
    context = StackContext("r", "c", Path(), Path(), Unguarded(), print)

    with pytest.raises(EnvironmentLacks) as lacks:
        await prepare_stack(None, topology, context, nodes)

    assert lacks.value.message == message


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("drain", "`docker node update --availability active node-2` lets it take tasks again"),
        ("down", "bring node-2 back: `docker node ls` shows its state"),
    ],
)
async def test_a_node_that_would_do_if_it_took_tasks_is_named_in_the_advice(state, advice):
    topology = SwarmTopology.model_validate(
        {"kind": "swarm", "app": {**APP, "nodes": ["node.labels.role==app"]}}
    )
    context = StackContext("r", "c", Path(), Path(), Unguarded(), print)

    with pytest.raises(EnvironmentLacks) as lacks:
        await prepare_stack(None, topology, context, [NODES[0], replace(NODES[1], state=state)])

    assert lacks.value.hint == advice
