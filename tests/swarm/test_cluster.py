"""The swarm that these tests run on is what they take it for."""

import subprocess
import sys
import time

import pytest

from infra.swarm.cluster import ROOT, sweep
from infra.swarm.namespaces import OPERATOR
from tests.swarm.conftest import SKEWS_S

PYTHON = "loadproof-base/python:bookworm"
CLOCK = "import time; print(time.clock_gettime_ns(time.CLOCK_MONOTONIC))"


def test_all_nodes_have_the_same_images(swarm):
    ids = {swarm.docker(node, "image", "inspect", "--format", "{{.Id}}", PYTHON) for node in swarm.nodes}

    assert len(ids) == 1


@pytest.mark.parametrize("number", range(len(SKEWS_S)))
def test_the_clock_of_each_node_is_ahead_by_its_skew(swarm, number):
    node = swarm.nodes[number]
    before_ns = time.monotonic_ns()
    now_ns = int(swarm.docker(node, "run", "--rm", "--network=none", PYTHON, "python3", "-c", CLOCK))

    assert before_ns <= now_ns - SKEWS_S[number] * 1_000_000_000 <= time.monotonic_ns()


def test_nodes_and_the_operator_reach_each_other(swarm):
    for machine in (OPERATOR, *swarm.nodes):
        code = (
            f"import socket; socket.create_connection(('{swarm.address(swarm.manager)}', 2377), timeout=30)"
        )
        subprocess.run(swarm.network.inside(machine, [sys.executable, "-c", code]), check=True)


def test_an_image_of_the_manager_is_distributed_with_its_id(swarm):
    changes = ["--change", f"ENV MADE_AT={time.time_ns()}"]
    container = swarm.docker(swarm.manager, "create", PYTHON, "true")
    image = swarm.docker(swarm.manager, "commit", *changes, container)
    swarm.docker(swarm.manager, "rm", container)

    swarm.distribute(image)

    ids = {swarm.docker(node, "image", "inspect", "--format", "{{.Id}}", image) for node in swarm.nodes}
    assert ids == {image}
    for node in swarm.nodes:
        swarm.docker(node, "rmi", image)


def test_a_node_that_lost_power_comes_back(swarm):
    swarm.kill("node-3")
    swarm.restore()

    assert swarm.ready() == set(swarm.nodes)


def test_a_swarm_whose_owner_was_killed_is_removed_by_the_next_one():
    code = "import os; from infra.swarm.cluster import Cluster; Cluster('killed', 1).up(owner=os.getpid())"
    subprocess.run([sys.executable, "-c", code + "; os.kill(os.getpid(), 9)"], check=False)
    assert (ROOT / "killed").exists()

    assert "killed" in sweep()

    assert not (ROOT / "killed").exists()
