"""A real swarm of three nodes for the tests of this folder, and a check that they leave nothing on it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from infra.swarm.cluster import Cluster, open_cluster
from runner.stack.docker.bases import STAND_INS
from runner.stack.docker.engine import connect
from runner.stack.docker.images import Supplier
from runner.stack.protocols import StackContext, Unguarded
from runner.stack.swarm.agent_image import build_agent_image
from runner.stack.swarm.placer import SwarmPlacer, open_placer
from tests.stack.docker.conftest import RecordingGuard

SKEWS_S = (0, 1000, 5000)
"""How far the monotonic clock of each node is ahead: whatever compares clocks without care fails at once."""
LABEL = "loadproof.run"
PYTHON = "loadproof-base/python:bookworm"
AGENTS = "loadproof-agent"
KEPT = "LOADPROOF_SWARM"
"""The environment variable with the name of a swarm that stays after the tests, so that the next ones start
at once: `python -m infra.swarm down NAME` removes it."""
_REMOVED_WITHIN_S = 30
_INFRA = Path(__file__).parents[2] / "infra"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.swarm)


@pytest.fixture(scope="session")
def nodes() -> Iterator[Cluster]:
    """The swarm, for fixtures that need more than one test; tests take `swarm`."""
    subprocess.run([sys.executable, _INFRA / "images" / "build.py"], check=True, capture_output=True)
    kept = os.environ.get(KEPT)
    cluster = Cluster(kept or str(os.getpid()), len(SKEWS_S), SKEWS_S, spends_memory=True)
    images = [recipe.name for recipe in STAND_INS.values()]

    def fill() -> None:
        trio.run(_build_agent_image, cluster.url(cluster.manager))

    if kept and cluster.folder.exists():
        cluster.distribute(trio.run(_build_agent_image, cluster.url(cluster.manager)))
        yield cluster
    elif kept:
        cluster.up(images=images, fill=fill)
        yield cluster
    else:
        with open_cluster(cluster, images, fill):
            yield cluster


async def _build_agent_image(url: str) -> str:
    engine = await connect(url)
    with tempfile.TemporaryDirectory() as scratch:
        supplier = Supplier(engine, Unguarded(), print, "local", Path(scratch))
        image = await build_agent_image(supplier, print)
    engine.close()
    return image.name


@pytest.fixture
def swarm(nodes: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The swarm, whose manager DOCKER_HOST names; what a test breaks is mended, what it leaves fails it."""
    monkeypatch.setenv("DOCKER_HOST", nodes.url(nodes.manager))
    yield nodes
    nothing_left_on(nodes)


def nothing_left_on(cluster: Cluster) -> None:
    """Mend what is broken, and fail if something of a run is left half a minute later."""
    cluster.restore()
    deadline = time.monotonic() + _REMOVED_WITHIN_S
    while (left := left_on(cluster)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == set()


def left_on(cluster: Cluster, run_id: str = "") -> set[str]:
    """Return what carries the label of runs, or of one run: objects of the swarm, containers of all nodes."""
    label = f"{LABEL}={run_id}" if run_id else LABEL
    chosen = f"filters={quote(json.dumps({'label': [label]}))}"
    left = {
        f"{kind} {item.get('Name') or item['Spec']['Name']}"
        for kind in ("service", "network", "config", "secret")
        for item in cluster.get(cluster.manager, f"/{kind}s?{chosen}")
    }
    for node in cluster.nodes:
        listed = cluster.get(node, f"/containers/json?all=true&{chosen}")
        left |= {f"container {item['Names'][0].lstrip('/')} on {node}" for item in listed}
    return left


@pytest.fixture
def guard():
    return RecordingGuard()


@pytest.fixture
def context(swarm, tmp_path, guard) -> StackContext:
    run_id = f"test-{tmp_path.name[-40:]}-{swarm.name}"
    return StackContext(run_id, "placed", Path.cwd(), tmp_path, guard, guard.lines.append)


@pytest.fixture
async def placer(context) -> AsyncIterator[SwarmPlacer]:
    async with open_placer(context) as placer:
        yield placer


@pytest.fixture
def image(swarm):
    return swarm.get(swarm.manager, f"/images/{PYTHON}/json")["Id"]
