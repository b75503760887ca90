from contextlib import asynccontextmanager

import pytest

from runner.cluster.opening import open_cluster
from tests.cluster.local_placer import LocalPlacer


@pytest.fixture
async def placer():
    placer = LocalPlacer({"node-1": 0, "node-2": 0})
    yield placer
    await placer.remove_all()


@asynccontextmanager
async def opened(placer, **options):
    """A cluster of the placer's nodes."""
    nodes = await placer.nodes()
    async with open_cluster(
        placer, run_id="run-1", image="sha256:1", nodes=nodes, say=lambda _: None, **options
    ) as cluster:
        yield cluster


@pytest.fixture
async def cluster(placer):
    async with opened(placer) as cluster:
        yield cluster
