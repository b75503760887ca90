"""Without a registry, one message names all images that nodes lack: of agents and of the system."""

import subprocess

import pytest

from tests.swarm.runs import running

LACKED = "only-on-the-manager:1"
SPECIFICATION = f"""
version: 1
name: lacking
topology:
  kind: swarm
  app: {{image: "{LACKED}", port: 8080, nodes: [node.role==worker]}}
load: {{request: {{path: /}}}}
stages: [{{rps: 10, duration: 1s}}]
"""


@pytest.fixture
def lacking(swarm):
    """A swarm whose workers lack the image of the app, and node-2 that of agents too; returns the latter."""
    subprocess.run(
        ["docker", "--host", swarm.url(swarm.manager), "import", "-", LACKED],
        input=bytes(1024),
        check=True,
        capture_output=True,
    )
    agents = swarm.docker("node-2", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "loadproof-agent")
    swarm.docker("node-2", "rmi", "--force", *agents.split())
    yield agents
    swarm.docker(swarm.manager, "rmi", LACKED)
    for image in agents.split():
        swarm.distribute(image, ["node-2"])


def test_all_images_that_nodes_lack_are_named_at_once(lacking, swarm, tmp_path):
    with running(swarm, tmp_path, SPECIFICATION) as run:
        status = run.wait()

    agents = lacking.split()
    assert status == 3
    assert f"node-3 lacks {LACKED} (app)" in run.text
    assert f"docker save {LACKED} | ssh node-3 docker load" in run.text
    assert any(f"docker save {image} {LACKED} | ssh node-2 docker load" in run.text for image in agents)
