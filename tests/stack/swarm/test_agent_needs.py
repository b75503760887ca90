"""What agents need around systems of any kind."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runner.cluster.placement import Node
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.swarm.agent_needs import agent_needs

NODES = tuple(
    Node(f"id{number}", f"node-{number}", "192.0.2.1", 4, 2**33, "amd64", is_manager=True, state=state)
    for number, state in ((1, "ready"), (2, "ready"), (3, "down"))
)


class PlacerOfNetworks(SimpleNamespace):
    async def network(self, name: str) -> str:
        return f"run-{name}"


@pytest.mark.parametrize(
    ("path", "networks", "on_host"), [("overlay", ("run-data",), False), ("host", (), True)]
)
async def test_around_a_stack_in_the_swarm_they_run_on_every_node_that_is_ready_and_in_its_network(
    path: str, networks: tuple[str, ...], on_host: bool
) -> None:
    stack = {"kind": "swarm", "path": path, "registry": "r:5000/a", "app": {"image": "a:1", "port": 80}}
    needs = agent_needs(SwarmTopology.model_validate(stack))

    assert needs.nodes(NODES, NODES[:1]) == NODES[:2]
    assert (needs.registry, needs.on_host_network) == ("r:5000/a", on_host)
    assert await needs.networks(PlacerOfNetworks()) == networks  # type: ignore[arg-type]


async def test_around_another_system_they_run_where_load_comes_from() -> None:
    needs = agent_needs(ExternalTopology(kind="external", url="http://192.0.2.9:80"))

    assert needs.nodes(NODES, NODES[:1]) == NODES[:1]
    assert (needs.registry, needs.on_host_network) == (None, False)
    assert await needs.networks(PlacerOfNetworks()) == ()  # type: ignore[arg-type]
    assert await needs.prepare(PlacerOfNetworks(), None, NODES) is None  # type: ignore[arg-type]
