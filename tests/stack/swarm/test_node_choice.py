"""Which nodes meet constraints."""

from __future__ import annotations

import pytest

from runner.cluster.placement import Node
from runner.stack.swarm.node_choice import meets, ready_nodes

LABELS = {"role": "load", "engine.disk": "ssd"}
NODE = Node("id1", "node-1", "192.0.2.1", 4, 2**33, "amd64", is_manager=True, labels=LABELS)


@pytest.mark.parametrize(
    "constraint",
    [
        "node.id==id1",
        "node.hostname==NODE-1",
        "node.role==manager",
        "node.role!=worker",
        "node.platform.os==linux",
        "node.platform.arch==x86_64",
        "node.platform.arch==amd64",
        "node.labels.role==load",
        "node.labels.zone!=b",
        "engine.labels.disk==ssd",
    ],
)
def test_a_node_meets_what_is_true_of_it(constraint: str) -> None:
    assert meets(NODE, [constraint])

    opposite = constraint.replace("==", "\0").replace("!=", "==").replace("\0", "!=")
    assert not meets(NODE, [opposite])
    assert not meets(NODE, [constraint, opposite])


def test_nodes_that_are_not_ready_cannot_be_chosen() -> None:
    down = Node("id2", "node-0", "192.0.2.2", 4, 2**33, "amd64", state="down", labels=LABELS)

    assert ready_nodes([NODE, down], ["node.labels.role==load"]) == (NODE,)
    assert ready_nodes([NODE, down], ["node.labels.role==app"]) == ()
