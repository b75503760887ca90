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


async def test_what_a_run_on_another_machine_has_stays_until_it_expires(context, swarm, api):
    """No process here tells whether a runner elsewhere is alive."""
    elsewhere = object_labels("elsewhere", "network") | {"loadproof.boot-id": "another"}
    try:
        for name, expires in (("theirs", time.time() + 1000), ("expired", time.time() - 1)):
            marks = elsewhere | {"loadproof.expires": str(int(expires))}
            api.create_network(f"lp-elsewhere-{name}", driver="overlay", labels=marks)

        async with open_placer(context):
            assert left_on(swarm) == {"network lp-elsewhere-theirs"}
    finally:
        api.remove_network("lp-elsewhere-theirs")


def test_an_object_of_a_swarm_is_told_apart_from_one_of_an_engine():
    assert labels.is_shared(object_labels("run", "role"))
    assert not labels.is_shared(labels.run_labels("run", "role"))
    assert not labels.is_shared(None)
