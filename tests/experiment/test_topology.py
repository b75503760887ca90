"""All kinds of topology have the same members, so that no other package needs to know the kind."""

from __future__ import annotations

from typing import get_args

import pytest

from runner.experiment.app import Proxy
from runner.experiment.compose_topology import ComposeTopology
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.service_addresses import fill_addresses
from runner.experiment.started_topology import DockerTopology, ProcessTopology
from runner.experiment.swarm_topology import SwarmTopology
from runner.experiment.topology import Topology

PROCESS = ProcessTopology.model_validate(
    {"kind": "process", "app": {"command": ["serve", "--port", "{port}", "a b"], "env": {"A": "1"}}}
)
DOCKER = DockerTopology.model_validate(
    {"kind": "docker", "app": {"build": "../app", "port": 8080, "env_from": ["TOKEN"]}, "replicas": 1}
)
EXTERNAL = ExternalTopology(kind="external", url="http://a")
COMPOSE = ComposeTopology.model_validate(
    {"kind": "compose", "files": ["docker-compose.yml"], "target": {"service": "web", "port": 8080}}
)
SWARM = SwarmTopology.model_validate({"kind": "swarm", "app": {"build": "../app", "port": 8080}})
ALL = [PROCESS, DOCKER, EXTERNAL, COMPOSE, SWARM]


def test_every_kind_is_tested_here() -> None:
    models, by_kind = get_args(Topology)

    assert {topology.kind for topology in ALL} == set(by_kind.kinds)
    assert len(ALL) == len(get_args(models))


@pytest.mark.parametrize("topology", ALL, ids=lambda topology: topology.kind)
def test_every_kind_has_the_same_members(topology: Topology) -> None:
    assert topology.replicas == 1
    assert topology.with_replicas(1) == topology
    assert topology.proxy is None
    assert (topology.app is None) == (topology in (EXTERNAL, COMPOSE))
    assert topology.build_folders in ({}, {"app": "../app"})


@pytest.mark.parametrize(
    ("topology", "lines"),
    [
        (
            PROCESS,
            [
                "starts `serve --port '{port}' 'a b'` in the folder /here",
                "  with all variables of your environment",
                "  with A=1",
            ],
        ),
        (
            PROCESS.model_copy(update={"replicas": 2, "proxy": Proxy()}),
            [
                "starts `serve --port '{port}' 'a b'` 2 times in the folder /here",
                "  with all variables of your environment",
                "  with A=1",
                "starts nginx with a generated configuration",
            ],
        ),
        (
            DOCKER,
            [
                "builds an image from ../app",
                "starts the image's own command in a container",
                "  with TOKEN from your environment, not shown here",
            ],
        ),
        (
            DockerTopology.model_validate(
                {
                    "kind": "docker",
                    "app": {
                        "image": "app:1",
                        "port": 8080,
                        "command": ["serve", "$(id)"],
                        "env": {"A": "1 2"},
                        "env_from": ["B"],
                    },
                    "replicas": 3,
                    "proxy": {"kind": "nginx"},
                }
            ),
            [
                "uses the image app:1",
                "starts `serve '$(id)'` 3 times in a container",
                "  with A='1 2'",
                "  with B from your environment, not shown here",
                "starts nginx with a generated configuration in a container",
            ],
        ),
        (EXTERNAL, ["sends load to http://a"]),
        (
            SwarmTopology.model_validate(
                {
                    "kind": "swarm",
                    "registry": "registry.example.com/lp",
                    "path": "published",
                    "app": {"image": "app:1", "port": 80, "replicas": 4, "nodes": ["node.role != manager"]},
                    "services": {"db": {"image": "postgres:16", "port": 5432}},
                    "proxy": {"kind": "nginx"},
                }
            ),
            [
                "starts the service db in a container of the image postgres:16",
                "uses the image app:1",
                "pushes the images to registry.example.com/lp",
                "starts the image's own command 4 times on nodes of the swarm with node.role!=manager",
                "starts nginx with a generated configuration on a node of the swarm",
                "publishes ports on those nodes",
            ],
        ),
        (
            ComposeTopology.model_validate(
                {
                    "kind": "compose",
                    "files": ["a.yml", "b.yml"],
                    "target": {"service": "web", "port": 80},
                    "scale": {"web": 2},
                    "profiles": ["more"],
                    "env_files": [".env"],
                }
            ),
            [
                "starts the containers of a.yml, b.yml, with the rights and folders that are given there",
                "  with all variables of your environment, where they are inserted",
                "  with 2 containers of web",
                "  with the profile more",
                "  with the variables of the file .env",
            ],
        ),
    ],
)
def test_a_topology_describes_what_running_it_starts(topology: Topology, lines: list[str]) -> None:
    assert list(topology.describe_start("/here")) == lines


def test_replicas_of_an_external_service_cannot_change() -> None:
    with pytest.raises(ValueError, match="cannot have 2 replicas"):
        EXTERNAL.with_replicas(2)

    assert PROCESS.with_replicas(3).replicas == 3


def test_the_app_of_a_compose_file_gets_replicas_only_behind_another_service() -> None:
    behind = COMPOSE.model_copy(update={"roles": {"api": "app", "web": "proxy"}})
    more = behind.with_another_replica()

    assert COMPOSE.with_another_replica() is None
    assert more is not None
    assert (more.scale, more.replicas) == ({"api": 2}, 2)
    assert more.with_replicas(1) == behind


def test_only_containers_have_a_forwarder_and_a_network_to_change() -> None:
    direct, on_host = DOCKER.without_forwarder(), DOCKER.on_host_network()

    assert direct is not None
    assert on_host is not None
    assert (direct.publish, direct.without_forwarder()) == ("container", None)
    assert (on_host.network, on_host.without_forwarder(), on_host.on_host_network()) == ("host", None, None)
    assert (PROCESS.without_forwarder(), PROCESS.on_host_network()) == (None, None)
    assert (EXTERNAL.without_forwarder(), EXTERNAL.on_host_network()) == (None, None)


@pytest.mark.parametrize(("port", "possible"), [(8080, False), (6379, True)])
def test_containers_cannot_share_a_port_of_the_host(port: int, possible: bool) -> None:
    services = {"cache": {"image": "redis:7", "port": port}}
    topology = DockerTopology.model_validate(
        {"kind": "docker", "app": {"image": "app:1", "port": 8080}, "services": services}
    )

    assert (topology.on_host_network() is not None) is possible


def test_what_services_start_is_described_before_the_app() -> None:
    services = {
        "db": {
            "command": ["serve", "--port", "{port}"],
            "env": {"A": "1"},
            "env_from": ["TOKEN"],
            "ready": {"command": ["pg_isready"]},
            "cwd": "db",
        }
    }
    process = ProcessTopology.model_validate(
        {"kind": "process", "app": {"command": ["app", "{port}"], "cwd": "shop"}, "services": services}
    )
    service = {"image": "postgres:16", "command": ["postgres"], "files": {"a.sql": "/a.sql"}}
    docker = DockerTopology.model_validate(
        {"kind": "docker", "app": {"image": "app:1", "port": 80}, "services": {"db": service}}
    )

    assert process.describe_start("/here") == (
        "starts the service db: `serve --port '{port}'` in the folder db",
        "  with all variables of your environment",
        "  with A=1",
        "  with TOKEN from your environment, not shown here",
        "  and runs `pg_isready` on this host until it is ready",
        "starts `app '{port}'` in the folder shop",
        "  with all variables of your environment",
    )
    assert docker.describe_start("/here") == (
        "starts the service db in a container of the image postgres:16 with `postgres`",
        "  with a.sql of the specification's folder, read-only",
        "uses the image app:1",
        "starts the image's own command in a container",
    )


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${db.host}:${db.port}", "h:1"),
        ("$${db.host}", "${db.host}"),
        ("${HOME} ${db} $$", "${HOME} ${db} $$"),
        ("${db.host}${db.host}", "hh"),
    ],
)
def test_addresses_are_inserted_and_other_texts_stay(text: str, filled: str) -> None:
    assert fill_addresses(text, {"db": ("h", 1)}) == filled


@pytest.mark.parametrize("text", ["${db.host}", "$${db.host}", "${a.b}"])
def test_without_services_every_text_stays_as_it_is_written(text: str) -> None:
    topology = ProcessTopology.model_validate(
        {"kind": "process", "app": {"command": ["a", "{port}"], "env": {"A": text}}}
    )

    assert fill_addresses(topology.app.env["A"], {}) == text


def test_processes_with_a_fixed_port_cannot_add_replicas() -> None:
    fixed = PROCESS.model_copy(update={"app": PROCESS.app.model_copy(update={"port": 80})})

    assert [topology.can_add_replicas for topology in (PROCESS, fixed, DOCKER, EXTERNAL)] == [
        True,
        False,
        True,
        False,
    ]
