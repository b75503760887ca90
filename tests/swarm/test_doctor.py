"""`runner doctor --swarm` says what each node has, lacks and can offer, and leaves nothing."""

from tests.swarm.conftest import left_on
from tests.swarm.runs import doctor


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


def test_a_worker_is_no_manager(swarm, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", swarm.url("node-2"))

    code, checks = doctor()

    assert code == 3
    assert list(checks) == ["manager"]
    assert "is a worker of its swarm" in checks["manager"]["found"]
    assert "set DOCKER_HOST to the engine of a manager" in checks["manager"]["advice"]
