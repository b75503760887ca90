"""Whatever ends a run, nothing of it stays in the swarm; what live runs have stays."""

import time

import docker
import pytest
from docker.types import ContainerSpec, Placement, TaskTemplate

from runner.stack.docker import labels
from runner.stack.docker.cleanup import remove_run, sweep
from runner.stack.docker.engine import connect
from runner.stack.swarm.naming import object_labels
from runner.stack.swarm.placer import open_placer
from tests.swarm.conftest import PYTHON, left_on
from tests.swarm.runs import runner
from tests.swarm.test_placer import STAY

LEFT = [
    "config lp-killed",
    "container lp-killed on node-1",
    "network lp-killed",
    "secret lp-killed",
    "service lp-killed",
]
KINDS = ("config", "container", "network", "secret", "service")


@pytest.fixture
def api(swarm):
    client = docker.APIClient(base_url=swarm.url("node-1"), version="auto")
    yield client
    client.close()


def leave_one_of_each_kind(api, image) -> None:
    """Leaves what a run leaves that was killed together with its watchdog."""
    dead = object_labels("killed", "any") | {"loadproof.owner-started": "1"}
    api.create_network("lp-killed", driver="overlay", labels=dead)
    api.create_config("lp-killed", b"word", labels=dead)
    api.create_secret("lp-killed", b"word", labels=dead)
    api.create_container(image, "true", name="lp-killed", labels=dead)
    task = TaskTemplate(ContainerSpec(image), placement=Placement(constraints=["node.hostname==none"]))
    api.create_service(task, name="lp-killed", labels=dead)


def test_clean_removes_what_is_left_when_the_watchdog_was_killed_too(swarm, image, api):
    leave_one_of_each_kind(api, image)
    assert sorted(left_on(swarm)) == LEFT

    status, text = runner("clean")

    assert status == 0
    assert {f"removed {kind} lp-killed of the swarm" for kind in KINDS} <= set(text.splitlines())
    assert left_on(swarm) == set()


async def test_the_next_run_removes_what_a_killed_one_left(swarm, image, context, api):
    leave_one_of_each_kind(api, image)

    async with open_placer(context):
        assert left_on(swarm) == set()

    assert any("removed what an earlier run left behind: service lp-" in line for line in context.guard.lines)


async def test_containers_of_this_machine_and_objects_of_the_swarm_are_removed_apart(placer, context, swarm):
    await placer.start_hub(image=PYTHON, command=STAY, network=None)
    await placer.network("data")
    before = left_on(swarm)
    assert len(before) == 2

    engine = await connect()
    await sweep(engine)
    await remove_run(engine, context.run_id)
    engine.close()

    assert left_on(swarm) == before


async def test_what_a_run_on_another_machine_has_stays_until_it_expires(context, swarm, api, monkeypatch):
    """No process here tells whether a runner elsewhere is alive, and their clocks may differ by days."""
    marks = object_labels("elsewhere", "network") | {
        "loadproof.boot-id": "another",
        "loadproof.expires": str(int(time.time()) - 1),
    }
    network = api.create_network("lp-elsewhere", driver="overlay", labels=marks)
    config = api.create_config("lp-elsewhere", b"word", labels=marks)
    container = api.create_container(PYTHON, "true", name="lp-elsewhere", labels=marks)
    theirs = left_on(swarm)
    assert len(theirs) == 3
    try:
        async with open_placer(context):
            assert left_on(swarm) == theirs
        monkeypatch.setattr(labels, "_LIFETIME_S", -10.0)  # the engine's own clock, to the second
        async with open_placer(context):
            assert left_on(swarm) == set()
    except BaseException:
        api.remove_network(network["Id"])
        api.remove_config(config["ID"])
        api.remove_container(container["Id"])
        raise


def test_an_object_of_a_swarm_is_told_apart_from_one_of_an_engine():
    assert labels.is_shared(object_labels("run", "role"))
    assert not labels.is_shared(labels.run_labels("run", "role"))
    assert not labels.is_shared(None)
