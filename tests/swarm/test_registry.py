"""Images reach the nodes through a registry, pinned by their digest there."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from infra.swarm.namespaces import OPERATOR
from runner.cluster.placement import TaskPlan
from runner.core.errors import StackFailed
from runner.stack.docker.images import find_image
from runner.stack.swarm.images import pin_images
from tests.small_image import import_small_image

PROGRAM = "/usr/bin/docker-init"
CONFIG = """
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: DATA}}
http: {addr: "ADDRESS"}
"""

pytestmark = pytest.mark.skipif(
    os.environ.get("CI") != "true" and not shutil.which("docker-registry"),
    reason="docker-registry is not installed",
)


@pytest.fixture
def registry(swarm, tmp_path):
    """A registry beside the nodes, whose engines take it without TLS."""
    address = f"{swarm.address(OPERATOR)}:5000"
    config = tmp_path / "registry.yml"
    config.write_text(CONFIG.replace("DATA", str(tmp_path / "data")).replace("ADDRESS", address))
    command = swarm.network.inside(OPERATOR, ["docker-registry", "serve", str(config)])
    connect = f"import socket; socket.create_connection({tuple(address.split(':'))})"
    trial = swarm.network.inside(OPERATOR, [sys.executable, "-c", connect])
    with subprocess.Popen(command) as process:
        while process.poll() is None and subprocess.run(trial, capture_output=True, check=False).returncode:
            time.sleep(0.1)
        yield address
        process.terminate()


@pytest.fixture
def small_image(swarm):
    """An image of one small program, which only the manager has."""
    api = docker.APIClient(base_url=swarm.url("node-1"), version="auto")
    yield import_small_image(api, "small", Path(PROGRAM))
    for node in swarm.nodes:
        ids = swarm.docker(node, "image", "ls", "--quiet", "--filter", "reference=*/*/small").split()
        if ids:
            swarm.docker(node, "rmi", "--force", *ids)
    api.close()


async def test_all_nodes_run_what_was_pushed(placer, context, small_image, registry):
    image = await find_image(placer.engine, small_image)
    nodes = await placer.nodes()

    pinned = await pin_images(placer, {"app": image}, f"{registry}/load", context.say)

    assert pinned["app"].startswith(f"{registry}/load/small@sha256:")
    plan = TaskPlan("p", pinned["app"], entrypoint=(PROGRAM, "--version"), one_per_node=True)
    assert await placer.reasons(plan, within=60) == {node.id: "" for node in nodes}
    assert context.guard.lines == [f"pushing {registry}/load/small:1"]


async def test_a_registry_that_is_not_there_is_named(placer, context, small_image, swarm):
    image = await find_image(placer.engine, small_image)
    nowhere = f"{swarm.address(OPERATOR)}:1/load"

    with pytest.raises(StackFailed, match=rf"{nowhere}/small:1 cannot be pushed: .*refused") as failed:
        await pin_images(placer, {"app": image}, nowhere, context.say)

    assert "must reach the registry" in failed.value.hint
