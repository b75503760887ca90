"""`runner doctor --swarm` says what each node has, lacks and can offer, and leaves nothing."""

import json
import re
import subprocess
import sys

from tests.swarm.conftest import left_on


def doctor(*words: str) -> tuple[int, dict[str, dict[str, str]]]:
    command = [sys.executable, "-m", "runner", "doctor", "--swarm", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)}


def test_a_swarm_that_has_everything(swarm):
    swarm.docker("node-1", "node", "update", "--label-add", "role=load", "node-2")

    code, checks = doctor()

    assert code == 0
    clocks = [f"clock of {node}" for node in swarm.nodes]
    assert list(checks) == ["manager", *swarm.nodes, "image of agents", "overlay network", *clocks, "IPVS"]
    assert {check["status"] for check in checks.values()} <= {"ok", "limited"}
    assert checks["manager"]["found"].endswith("a swarm of 3 nodes, 1 of them managers")
    assert checks["node-1"]["found"].startswith("manager, ready, ")
    assert swarm.address("node-2") in checks["node-2"]["found"]
    assert checks["node-2"]["found"].endswith(", role=load")
    assert left_on(swarm) == set()
    swarm.docker("node-1", "node", "update", "--label-rm", "role", "node-2")


def test_what_a_swarm_lacks_has_advice_and_an_exit_code(swarm):
    form = "{{.Repository}}:{{.Tag}}"
    images = swarm.docker("node-3", "image", "ls", "--format", form, "loadproof-agent").split()
    swarm.docker("node-3", "rmi", "--force", *images)
    swarm.docker("node-1", "node", "update", "--availability", "drain", "node-2")
    try:
        code, checks = doctor()
    finally:
        swarm.docker("node-1", "node", "update", "--availability", "active", "node-2")
        for image in images:
            swarm.distribute(image, ["node-3"])

    assert code == 3
    assert checks["node-2"]["status"] == "limited"
    assert "--availability active node-2" in checks["node-2"]["advice"]
    assert list(checks)[-1] == "image of agents"
    assert checks["image of agents"]["found"].startswith("node-3 lacks loadproof-agent:")
    advice = checks["image of agents"]["advice"]
    assert re.search(r"docker save loadproof-agent:\S+ \| ssh node-3 docker load", advice)


def test_a_worker_is_no_manager(swarm, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", swarm.url("node-2"))

    code, checks = doctor()

    assert code == 3
    assert list(checks) == ["manager"]
    assert "is a worker of its swarm" in checks["manager"]["found"]
    assert "set DOCKER_HOST to the engine of a manager" in checks["manager"]["advice"]
