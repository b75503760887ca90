"""Where the tasks of a stack are, and where the load reaches them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.cluster.placement import Node, Task, TaskPlan
from runner.core.errors import EnvironmentLacks
from runner.stack.swarm.parts import tasks_of
from runner.stack.swarm.plans import Part

NODES = {
    "1": Node("1", "node-1", "192.0.2.1", 4, 2**33, "amd64"),
    "2": Node("2", "node-2", "", 4, 2**33, "amd64"),
}
PART = Part("app", TaskPlan("app", "sha256:a", ports={8080: 0}), 8080)


def task(slot: int, node_id: str = "1") -> Task:
    return Task(
        f"t{slot}",
        slot,
        node_id,
        "running",
        container_id=f"c{slot}",
        pid=slot,
        addresses={"n": f"10.1.0.{slot}"},
        ports={8080: 32_768 + slot},
    )


def test_several_tasks_are_numbered_by_slot_and_one_is_not() -> None:
    two = tasks_of(PART, [task(2), task(1)], nodes=NODES, path="overlay", network="n")
    one = tasks_of(PART, [task(1)], nodes=NODES, path="overlay", network="n")

    assert [(part.name, part.task.id) for part in two] == [("app-1", "t1"), ("app-2", "t2")]
    assert [part.title for part in (*two, *one)] == [
        "the replica app-1 on node-1",
        "the replica app-2 on node-1",
        "the app on node-1",
    ]


@pytest.mark.parametrize(
    ("path", "host", "port"),
    [("overlay", "10.1.0.1", 8080), ("published", "192.0.2.1", 32_769), ("host", "192.0.2.1", 8080)],
)
def test_the_path_decides_where_the_load_reaches_a_task(path: str, host: str, port: int) -> None:
    (one,) = tasks_of(PART, [task(1)], nodes=NODES, path=path, network="n")  # type: ignore[arg-type]

    assert (one.host, one.port) == (host, port)


def test_its_node_reads_the_pages_of_a_part_in_the_network_of_the_run() -> None:
    app = Part("app", TaskPlan("app", "sha256:a", ports={8080: 0}), 8080, metrics="/metrics")
    nginx = Part("proxy", TaskPlan("nginx", "sha256:p"), 8080, status_port=8081)

    (published,) = tasks_of(app, [task(1)], nodes=NODES, path="published", network="n")
    (on_host,) = tasks_of(nginx, [replace(task(1), addresses={})], nodes=NODES, path="host", network="")
    (plain,) = tasks_of(PART, [task(1)], nodes=NODES, path="overlay", network="n")

    assert published.observed.metrics_url == "http://10.1.0.1:8080/metrics"
    assert on_host.observed.status_url == "http://192.0.2.1:8081/nginx_status"
    assert (plain.observed.metrics_url, plain.observed.status_url) == ("", "")


def test_a_part_without_a_published_port_is_reached_on_the_network_of_the_run() -> None:
    service = Part("db", TaskPlan("db", "sha256:d"), 5432)
    (one,) = tasks_of(service, [task(1)], nodes=NODES, path="published", network="n")

    assert (one.host, one.port, one.title) == ("10.1.0.1", 5432, "the service db on node-1")


def test_an_agent_observes_the_container_by_its_id_and_pid() -> None:
    (one,) = tasks_of(PART, [task(1)], nodes=NODES, path="overlay", network="n")

    assert (one.observed.name, one.observed.node) == ("app", "node-1")
    assert (one.observed.container_id, one.observed.pid, one.observed.ports) == ("c1", 1, (8080,))


@pytest.mark.parametrize(
    ("node_id", "path", "problem"),
    [
        ("2", "host", "does not say the address of the node node-2"),
        ("3", "overlay", r"runs app on a node that it does not list \(3\)"),
    ],
)
def test_a_task_that_cannot_be_reached_is_named(node_id: str, path: str, problem: str) -> None:
    with pytest.raises(EnvironmentLacks, match=problem):
        tasks_of(PART, [task(1, node_id)], nodes=NODES, path=path, network="n")  # type: ignore[arg-type]


def test_an_address_of_ipv6_stands_in_brackets_in_urls() -> None:
    nodes = {"1": Node("1", "node-1", "2001:db8::1", 4, 2**33, "amd64")}
    (one,) = tasks_of(PART, [task(1)], nodes=nodes, path="host", network="n")

    assert (one.host, one.authority) == ("2001:db8::1", "[2001:db8::1]:8080")
