"""Without a registry, one message names all images that nodes lack: of agents and of the system."""

import io
import json
import re
import subprocess
import tarfile

import pytest

from runner.cluster.placement import Node
from runner.core.errors import EnvironmentLacks
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.swarm.agent_image import refuse_other_machines
from runner.stack.swarm.preparation import prepare_stack
from tests.swarm.conftest import AGENTS
from tests.swarm.runs import doctor, running

LACKED = "only-on-the-manager:1"
SPECIFICATION = f"""
version: 1
name: lacking
topology:
  kind: swarm
  app: {{image: "{LACKED}", port: 8080, nodes: [node.role==worker]}}
load: {{nodes: [node.hostname==node-2], request: {{path: /}}}}
stages: [{{rps: 10, duration: 1s}}]
"""


@pytest.fixture
def agents(swarm):
    """The name of the image of agents, whose content is another one on the manager than on the workers.

    So they lack it, and none has to be brought there again.
    """
    manager = swarm.manager
    newest, *_ = swarm.docker(manager, "image", "ls", "--format", "{{.Tag}}", AGENTS).split()
    name = f"{AGENTS}:{newest}"
    swarm.docker(manager, "tag", name, "kept:1")
    container = swarm.docker(manager, "create", name, "true")
    other = swarm.docker(manager, "commit", "--change", "LABEL other=1", container, name)
    swarm.docker(manager, "rm", container)
    yield name
    swarm.docker(manager, "tag", "kept:1", name)
    swarm.docker(manager, "rmi", "--force", "kept:1", other)  # containers of it may still be ending


@pytest.fixture
def lacked(swarm):
    """An image that node-2 lacks and node-3 has."""
    command = ["docker", "--host", swarm.url(swarm.manager), "import", "-", LACKED]
    subprocess.run(command, input=bytes(1024), check=True, capture_output=True)
    swarm.distribute(LACKED, ["node-3"])
    yield
    for node in (swarm.manager, "node-3"):
        swarm.docker(node, "rmi", LACKED)


def test_all_images_that_nodes_lack_are_named_at_once(agents, lacked, swarm, tmp_path):
    with running(swarm, tmp_path, SPECIFICATION) as run:
        status = run.wait()

    assert status == 3
    assert f"docker save {agents} {LACKED} | ssh node-2 docker load" in run.text
    assert f"docker save {agents} | ssh node-3 docker load" in run.text
    assert f"{LACKED} (app)" in run.text


def test_doctor_advises_on_images_and_nodes_that_are_lacking(agents, swarm):
    swarm.docker("node-1", "node", "update", "--availability", "drain", "node-2")
    try:
        code, checks = doctor()
    finally:
        swarm.docker("node-1", "node", "update", "--availability", "active", "node-2")

    assert code == 3
    assert checks["node-2"]["status"] == "limited"
    assert "--availability active node-2" in checks["node-2"]["advice"]
    assert list(checks)[-1] == "image of agents"
    assert checks["image of agents"]["found"].startswith(f"node-3 lacks {agents}")
    advice = checks["image of agents"]["advice"]
    assert re.search(r"docker save loadproof-agent:\S+ \| ssh node-3 docker load", advice)


@pytest.fixture
def foreign(swarm):
    """An image on the manager's engine that is for the processors of mainframes."""
    docker = ["docker", "--host", swarm.url(swarm.manager)]
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    subprocess.run([*docker, "import", "-", "foreign:1"], input=empty.getvalue(), check=True)
    saved = subprocess.run([*docker, "save", "foreign:1"], capture_output=True, check=True).stdout
    subprocess.run([*docker, "load"], input=for_mainframes(saved), check=True)
    yield "foreign:1"
    subprocess.run([*docker, "rmi", "--force", "foreign:1"], check=True)


def for_mainframes(saved: bytes) -> bytes:
    """Return a saved image whose configuration names another architecture."""
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(saved)) as old, tarfile.open(fileobj=changed, mode="w") as new:
        for member in old:
            content = old.extractfile(member).read() if member.isfile() else b""
            if member.name.endswith(".json") and b'"rootfs"' in content:
                content = json.dumps(json.loads(content) | {"architecture": "s390x"}).encode()
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return changed.getvalue()


async def test_an_image_for_other_processors_is_refused_with_its_nodes(placer, context, foreign):
    app = {"image": foreign, "port": 8080, "nodes": ["node.role==worker"]}
    topology = SwarmTopology.model_validate({"kind": "swarm", "app": app})

    with pytest.raises(EnvironmentLacks) as refused:
        await prepare_stack(placer, topology, context, await placer.nodes())

    own = (await placer.nodes())[0].architecture
    nodes = f"node-2 ({own}) and node-3 ({own})"
    assert refused.value.message == f"the image {foreign} (app) is for s390x and cannot run on {nodes}"
    assert f"docker pull --platform linux/{own} {foreign}" in refused.value.hint


def test_agents_are_not_sent_to_machines_of_another_kind():
    node = Node("id", "odd", "10.0.0.1", cores=2, memory_bytes=0, architecture="s390x")

    with pytest.raises(EnvironmentLacks, match=r"unlike odd \(s390x\)"):
        refuse_other_machines([node])
