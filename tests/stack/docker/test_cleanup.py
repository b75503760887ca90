"""A run leaves nothing on the engine, however it ends, and touches nothing else."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from runner.stack.docker import cleanup, labels, open_docker
from runner.stack.docker.engine import connect
from tests.preloaded.client import popen
from tests.stack.docker.conftest import labelled, topology

pytestmark = pytest.mark.docker

GONE_WITHIN_S = 15


def wait_until_nothing_is_left(api, run_id):
    deadline = time.monotonic() + GONE_WITHIN_S
    while left := [*labelled(api, run_id), *processes_of(run_id)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def processes_of(run_id):
    """Return all processes with the run's id in their command line: the victim and its watchdog."""
    commands = Path("/proc").glob("[0-9]*/cmdline")
    return [path for path in commands if run_id.encode() in read(path)]


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("step", ["start_all", "_wait_ready", "take_down"])
def test_a_run_killed_in_any_step_leaves_nothing(api, context, left_over, step):
    """Signals and the phases of a whole run are in test_execute.py."""
    command = [sys.executable, "-m", "tests.stack.docker.victim", context.run_id, step]
    with popen(command, env=os.environ, stdout=subprocess.PIPE, text=True) as victim:
        assert f"step {step}\n" in iter(victim.stdout.readline, "")

        victim.kill()

        victim.stdout.read()
        victim.wait(GONE_WITHIN_S)
    wait_until_nothing_is_left(api, context.run_id)


@pytest.fixture
def own_label(monkeypatch):
    """A label that runs which are up at the same time do not have, and do not sweep."""
    monkeypatch.setattr(labels, "RUN", "loadproof-test.run")


@contextmanager
def objects_of(api, **changes):
    """Create a network labelled as this process's for each name, with some labels changed."""
    networks = {}
    try:
        for name, changed in changes.items():
            marked = {**labels.run_labels("test-owner", "network"), **changed}
            created = api.create_network(f"loadproof-test-{name}-{os.getpid()}", labels=marked)
            networks[name] = created["Id"]
        yield networks
    finally:
        for network in present(api, networks).values():
            api.remove_network(network)


def present(api, networks):
    """Return those that the engine still has."""
    return {name: network for name, network in networks.items() if api.networks(ids=[network])}


OWNERS = {
    "alive": {},
    "dead": {"loadproof.owner-pid": "4194303"},
    "pid-reused": {"loadproof.owner-started": "1"},
    "before-a-reboot": {"loadproof.boot-id": "another boot"},
    "in-another-namespace": {"loadproof.pid-namespace": "1", "loadproof.owner-pid": "4194303"},
    "expired": {"loadproof.pid-namespace": "1", "loadproof.expires": "1"},
    "unreadable": {"loadproof.owner-pid": "broken"},
}


async def test_a_sweep_at_the_start_removes_objects_of_dead_owners_and_is_reported(
    api, context, recorder, own_label, left_over
):
    with objects_of(api, **OWNERS) as networks:
        async with open_docker(topology(), context):
            assert set(present(api, networks)) == {"alive", "in-another-namespace"}

    assert any(line.startswith("removed what an earlier run left behind") for line in recorder.lines)


async def test_objects_without_loadproofs_label_are_never_touched(api, context, left_over):
    foreign = api.create_network(f"foreign-{os.getpid()}", labels={"loadproofing": "no"})["Id"]
    try:
        async with open_docker(topology(), context):
            pass
        await cleanup.clean(everything=False)

        assert api.networks(ids=[foreign])
    finally:
        api.remove_network(foreign)


async def test_clean_spares_live_runs_unless_everything_is_requested(api, monkeypatch, own_label):
    async def no_images(_):
        return []

    monkeypatch.setattr(cleanup, "_remove_images", no_images)  # the other tests' bases
    with objects_of(api, mine={}) as networks:
        assert f"network loadproof-test-mine-{os.getpid()}" not in await cleanup.clean(everything=False)
        assert present(api, networks) == networks
        assert f"network loadproof-test-mine-{os.getpid()}" in await cleanup.clean(everything=True)
        assert present(api, networks) == {}


async def test_clean_everything_removes_images_built_here(api, monkeypatch):
    marked = f"loadproof-test-image-{os.getpid()}"
    api.import_image_from_data(
        b"\0" * 10_240, repository="loadproof-test", tag=marked, changes=[f"LABEL mine={marked}"]
    )
    monkeypatch.setattr(labels, "IMAGE", f"mine={marked}")

    engine = await connect()
    removed = await cleanup._remove_images(engine)
    engine.close()

    assert removed == [f"image loadproof-test:{marked}"]
    assert api.images(filters={"label": f"mine={marked}"}) == []


async def test_a_cancelled_bring_up_removes_what_it_created(context, left_over):
    for after_s in (0.05, 0.3, 0.7):
        with trio.move_on_after(after_s):
            async with open_docker(topology(replicas=2, proxy={"kind": "nginx"}), context):
                await trio.sleep_forever()
        assert left_over() == []


def test_labels_identify_the_owner():
    marked = labels.run_labels("run-1", "app")

    assert json.loads(marked["loadproof.owner-pid"]) == os.getpid()
    assert not labels.owner_is_gone(marked)
    assert marked["loadproof.run"] == "run-1"
