"""The swarm that these tests run on is what they take it for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.swarm.cluster import ROOT, sweep
from infra.swarm.groups import quota
from infra.swarm.images import bring_images
from infra.swarm.namespaces import OPERATOR
from tests.swarm.conftest import PYTHON

SMALL = "small-base:1"
GIVES_UP_ONCE = """#!/bin/sh
mkdir {mark} 2>/dev/null && {{ echo 'timeout waiting for containerd to start' >&2; exit 1; }}
exec {dockerd} "$@"
"""


def test_all_nodes_have_the_same_images(swarm):
    ids = {swarm.get(node, f"/images/{PYTHON}/json")["Id"] for node in swarm.nodes}

    assert len(ids) == 1


def test_a_swarm_weighs_as_much_as_the_processes_of_its_nodes(swarm):
    """Its containers would weigh as much as one process outside, and not run for seconds beside many."""
    group = Path("/sys/fs/cgroup")
    files = (group / f"cpu/lpsw-{swarm.name}/cpu.shares", group / f"lpsw-{swarm.name}/cpu.weight")
    weight = next(int(file.read_text()) for file in files if file.exists())
    of_a_process = 1024 if files[0].exists() else 100

    assert weight == 8 * len(swarm.nodes) * of_a_process


@pytest.mark.parametrize(
    ("cores", "expected"), [(1.5, (7_500, 5_000)), (0.2, (1_000, 5_000)), (0.1, (1_000, 10_000))]
)
def test_a_node_that_is_held_has_at_least_the_quota_that_the_kernel_takes(cores, expected):
    assert quota(cores) == expected


def test_nodes_and_the_operator_reach_each_other(swarm):
    address = swarm.address(swarm.manager)
    code = f"import socket; socket.create_connection(('{address}', 2377), timeout=30)"
    for machine in (OPERATOR, *swarm.nodes):
        subprocess.run(swarm.network.inside(machine, [sys.executable, "-ISc", code]), check=True)


def test_an_image_of_the_manager_is_distributed_with_its_id(swarm):
    make = ["docker", "--host", swarm.url(swarm.manager), "import"]
    subprocess.run([*make, "-", SMALL], input=bytes(1024), check=True, capture_output=True)
    swarm.distribute(SMALL)  # so that the nodes have the layers of the next one
    container = swarm.docker(swarm.manager, "create", SMALL, "true")
    image = swarm.docker(swarm.manager, "commit", "--change", "ENV A=B", container)
    swarm.docker(swarm.manager, "rm", container)

    swarm.distribute(image)

    assert {swarm.get(node, f"/images/{image}/json")["Id"] for node in swarm.nodes} == {image}
    for node in swarm.nodes:
        swarm.docker(node, "rmi", image, SMALL)


def test_an_image_is_brought_with_its_settings_where_files_of_engines_cannot_be_copied(swarm):
    make = ["docker", "import", "--change", "ENV A=B", "-", SMALL]
    subprocess.run(make, input=bytes(1024), check=True, capture_output=True)

    bring_images([SMALL], swarm.url("node-2"))

    assert swarm.get("node-2", f"/images/{SMALL}/json")["Config"]["Env"] == ["A=B"]
    swarm.docker("node-2", "rmi", SMALL)
    subprocess.run(["docker", "rmi", SMALL], check=True, capture_output=True)


def test_a_swarm_whose_owner_was_killed_is_removed_by_the_next_one(tmp_path):
    """Its engine has given up once, as it does on a busy machine, and was started again."""
    mark, dockerd = tmp_path / "gave-up", tmp_path / "dockerd"
    dockerd.write_text(GIVES_UP_ONCE.format(mark=mark, dockerd=shutil.which("dockerd")))
    dockerd.chmod(0o755)
    code = (
        "import os; from infra.swarm.cluster import Cluster; own = os.getpid(); "
        "Cluster('killed', 1).up(owner=own, fill=lambda: os.kill(own, 9))"
    )
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env=environment,
        check=False,
    )
    assert (ROOT / "killed").exists()
    assert mark.exists()

    assert "killed" in sweep()

    assert not (ROOT / "killed").exists()
