"""The topology of services on the nodes of a Docker Swarm, and load from nodes."""

from __future__ import annotations

import pytest

from runner.experiment.node_constraint import NodeConstraint
from runner.experiment.resolved import resolved_text
from tests.experiment.samples import MINIMAL, message_of, read, table

SWARM = """\
version: 1
name: spread
topology:
  kind: swarm
  app:
    image: app:1
    port: 8080
    replicas: 4
    nodes: [node.labels.role==app]
    secrets: [token]
    configs: {settings: /etc/app.json}
  services:
    db: {image: "postgres:16", port: 5432, nodes: ["node.role != manager"]}
  proxy: {kind: nginx}
  secrets: {token: {env: TOKEN}}
  configs: {settings: {file: app.json}}
load: {nodes: 2}
stages: [{rps: 10, duration: 1s}]
"""
FROM_NODES = """\
version: 1
name: remote
topology: {kind: external, url: "http://shop.example"}
load: {nodes: 2, allow_hosts: [shop.example]}
stages: [{rps: 10, duration: 1s}]
"""


@pytest.mark.parametrize(("change", "problem"), table("swarm"))
def test_a_topology_of_a_swarm_that_cannot_be_is_refused_with_its_place(change: str, problem: str) -> None:
    assert message_of(SWARM, *change.split(" & ")) == problem


@pytest.mark.parametrize(("change", "problem"), table("load-nodes"))
def test_load_from_nodes_that_cannot_be_is_refused_with_its_place(change: str, problem: str) -> None:
    assert message_of(FROM_NODES, change) == problem


def test_a_swarm_gets_its_load_from_one_node_unless_it_says_more() -> None:
    (two,) = read(SWARM).configurations
    (one,) = read(SWARM.replace("load: {nodes: 2}\n", "")).configurations
    (here,) = read(MINIMAL).configurations
    constrained = read(SWARM.replace("nodes: 2", 'nodes: ["node.labels.role == load"]')).configurations[0]

    assert (two.load_nodes, one.load_nodes, here.load_nodes) == (2, 1, None)
    assert constrained.load_nodes == ("node.labels.role==load",)


def test_a_resolved_specification_of_a_swarm_is_the_same_experiment() -> None:
    experiment = read(SWARM)

    assert read(resolved_text(experiment)) == experiment


def test_replicas_of_a_swarm_are_the_tasks_of_the_app() -> None:
    topology = read(SWARM).configurations[0].topology
    more = topology.with_another_replica()

    assert topology.replicas == 4
    assert more is not None
    assert more.replicas == 5
    assert topology.with_replicas(4) == topology


def test_files_of_secrets_are_private_and_those_of_configs_describe_the_system() -> None:
    text = SWARM.replace("{env: TOKEN}", "{file: token.txt}")
    topology = read(text).configurations[0].topology

    assert topology.input_files == ("app.json",)
    assert topology.private_files == ("token.txt",)


@pytest.mark.parametrize(
    ("text", "value", "accepted"),
    [
        ("node.hostname==Node-1", "node-1", True),
        ("node.hostname==node-1", "node-2", False),
        ("node.labels.role==load", None, False),
        ("node.labels.role!=load", None, True),
        ("node.labels.role != load", "LOAD", False),
    ],
)
def test_a_constraint_accepts_what_a_swarm_accepts(text: str, value: str | None, accepted: bool) -> None:
    constraint = NodeConstraint.parse(text)

    assert constraint is not None
    assert constraint.accepts(value) is accepted


def test_a_text_without_an_operator_is_no_constraint() -> None:
    assert NodeConstraint.parse("node.role=manager") is None
