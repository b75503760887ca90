from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runner.cluster.errors import open_nursery
from runner.cluster.opening import open_cluster
from tests.cluster.in_process import InProcessPlacer

CHATTY = "tests.cluster.chatty"


@asynccontextmanager
async def opened(placer, **options):
    """A cluster of the placer's nodes."""
    nodes = await placer.nodes()
    options = {"host_network": True, "say": lambda _: None} | options
    async with open_cluster(placer, run_id="run-1", image="sha256:1", nodes=nodes, **options) as cluster:
        yield cluster


@asynccontextmanager
async def opened_here(**options):
    """A cluster of two nodes whose hub and agents are tasks of the test."""
    async with open_nursery() as nursery:
        async with opened(InProcessPlacer(nursery, modules=[CHATTY], **options)) as cluster:
            yield cluster
        nursery.cancel_scope.cancel()


@pytest.fixture
async def cluster():
    async with opened_here() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _modules_of_tests_can_be_started(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
