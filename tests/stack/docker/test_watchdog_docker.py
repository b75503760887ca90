"""What a killed run left on the engine is removed with nothing but the standard library."""

import subprocess
import sys
import time

import pytest

from runner.stack import watchdog_docker
from runner.stack.docker import open_docker
from runner.stack.docker.labels import run_labels
from tests.stack.docker.conftest import labelled, topology

pytestmark = pytest.mark.docker

SOCKET = "unix:///var/run/docker.sock"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(watchdog_docker, "_QUIET_S", 1.0)


async def test_the_runs_containers_and_networks_are_removed_and_others_stay(api, context, left_over):
    api.create_network("loadproof-test-other", labels=run_labels("somebody-else", "network"))
    try:
        async with open_docker(topology(replicas=2, proxy={"kind": "nginx"}), context):
            watchdog_docker.remove_all(SOCKET, context.run_id)

            assert left_over() == []
            assert labelled(api, "somebody-else") == ["loadproof-test-other"]
    finally:
        api.remove_network("loadproof-test-other")


def test_an_object_that_appears_during_the_search_is_removed(api, context, left_over, monkeypatch):
    search = watchdog_docker._Engine.remove_labelled
    late = iter(["loadproof-test-late"])

    def search_before_it_appears(engine, run_id):
        found = search(engine, run_id)
        for name in late:
            api.create_network(name, labels=run_labels(run_id, "network"))
        return found

    monkeypatch.setattr(watchdog_docker._Engine, "remove_labelled", search_before_it_appears)

    watchdog_docker.remove_all(SOCKET, context.run_id)

    assert left_over() == []


def test_a_missing_engine_ends_the_search(tmp_path):
    began = time.monotonic()

    watchdog_docker.remove_all(f"unix://{tmp_path}/docker.sock", "any")

    assert time.monotonic() - began < watchdog_docker._GIVE_UP_S / 2


def test_nothing_but_the_standard_library_is_imported():
    code = "import sys; import runner.stack.watchdog_docker as w; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert {"trio", "docker", "requests", "psutil", "httpx"}.isdisjoint(loaded.split())
