"""What is placed on nodes for a topology of a swarm."""

from __future__ import annotations

from typing import Any

import pytest

from runner.cluster.placement import Node, PlacedFile, ResourceLimits
from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.swarm.plans import Planner

NODES = [Node(number, name, "10.0.0.1", 4, 2**33, "amd64") for number, name in (("1", "a"), ("2", "b"))]


def planner(**changes: Any) -> Planner:
    topology = SwarmTopology.model_validate(
        {
            "kind": "swarm",
            "app": {
                "image": "app:1",
                "port": 8080,
                "replicas": 2,
                "nodes": ["node.labels.role==app"],
                "env": {"DB": "${db.host}:${db.port}", "AT": "{port}"},
                "cpus": 1.5,
                "memory": "64MiB",
                "secrets": ["token"],
            },
            "services": {
                "db": {
                    "image": "postgres:16",
                    "port": 5432,
                    "command": ["postgres", "-p", "{port}"],
                    "ready": {"command": ["pg_isready", "-h", "${db.host}"]},
                    "ready_within": "20s",
                }
            },
            "proxy": {"kind": "nginx", "nodes": ["node.role==manager"]},
            "secrets": {"token": {"env": "TOKEN"}},
            **changes,
        },
        context={"from_file": True},
    )
    token = PlacedFile("/run/secrets/token", b"t0ken", secret=True)
    images = {Role.APP: "sha256:app", Role.PROXY: "sha256:nginx", "db": "sha256:db"}
    return Planner(topology, "r1", "n1", images, {Role.APP: (token,)})


def test_replicas_are_the_tasks_of_one_plan_on_the_network_of_the_run() -> None:
    (part,) = planner().app({"db": ("db", 5432)}, ())
    plan = part.plan

    assert (plan.name, plan.image, plan.replicas, plan.networks) == ("app", "sha256:app", 2, ("n1",))
    assert plan.env == {"PORT": "8080", "DB": "db:5432", "AT": "8080", "LOADPROOF_RUN": "r1"}
    assert plan.constraints == ("node.labels.role==app",)
    assert plan.limits == ResourceLimits(1.5, 64 * 2**20)
    assert plan.ports == {}
    assert [file.path for file in plan.files] == ["/run/secrets/token"]


def test_published_replicas_have_a_free_port_of_their_node() -> None:
    (part,) = planner(path="published").app({"db": ("db", 5432)}, ())

    assert part.plan.ports == {8080: 0}
    assert part.plan.networks == ("n1",)


def test_on_the_network_of_nodes_each_replica_has_a_node() -> None:
    parts = planner(path="host").app({"db": ("10.0.0.1", 5432)}, NODES)

    assert [(part.plan.name, part.plan.node_id, part.plan.host) for part in parts] == [
        ("app-1", "1", True),
        ("app-2", "2", True),
    ]
    assert all(part.plan.networks == () for part in parts)


def test_a_service_is_ready_when_its_own_engine_says_so() -> None:
    plan = planner().service("db", {}).plan

    assert plan.command == ("postgres", "-p", "5432")
    assert plan.healthcheck is not None
    assert plan.healthcheck.command == ("CMD", "pg_isready", "-h", "127.0.0.1")
    assert (plan.healthcheck.interval, plan.healthcheck.retries) == (1.0, 20)


def test_nginx_sends_to_the_addresses_of_the_replicas() -> None:
    plans = planner()
    proxy = plans.topology.proxy
    assert proxy is not None
    part, text = plans.nginx(proxy, ["10.1.0.2:8080", "10.1.0.3:8080"])

    assert "server 10.1.0.2:8080 " in text
    assert "server 10.1.0.3:8080 " in text
    assert "listen 8080 " in text
    assert part.plan.files[0].content.decode() == text
    assert (part.plan.user, part.plan.read_only, part.plan.cap_drop) == ("65534:65534", True, ("ALL",))
    assert part.plan.constraints == ("node.role==manager",)


@pytest.mark.parametrize("run_id", ["a", "0f3a9c", "z" * 40])
def test_nginx_on_the_network_of_a_node_has_ports_that_no_part_has(run_id: str) -> None:
    plans = planner(path="host")
    proxy = plans.topology.proxy
    assert proxy is not None
    first, _ = Planner(plans.topology, run_id, "", plans.images).nginx(proxy, [])
    crowded = planner(path="host", app={"image": "a", "port": first.port, "secrets": ["token"]})
    second, text = Planner(crowded.topology, run_id, "", plans.images).nginx(proxy, [])

    assert 20_000 <= first.port < 32_768
    assert second.port == first.port + 1
    assert f"listen {second.port} " in text


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING", raising=False)
    app = {"image": "a", "port": 80, "env_from": ["MISSING"], "secrets": ["token"]}

    with pytest.raises(EnvironmentLacks, match=r"topology\.app\.env_from: MISSING is not set"):
        planner(app=app).app({}, ())
