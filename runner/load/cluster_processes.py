"""Processes of the generator on the nodes of a cluster, from stage to stage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, Self

from runner.cluster.client import Cluster
from runner.cluster.remote_pool import RemoteWorkerPool
from runner.cluster.remote_worker import RemoteWorker

_KEEPER: Final = "runner.load.file_keeper"


class ClusterProcesses:
    """Implements `runner.load.nodes.NodeProcesses`; all processes end with its block.

    Args:
        cluster: Whose agents start them.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._pool = RemoteWorkerPool(cluster, lambda _: ())
        self._keepers: list[RemoteWorker] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._pool)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cluster.close_workers(self._keepers)
        await self._stack.aclose()

    @asynccontextmanager
    async def take(self, nodes: Sequence[str]) -> AsyncIterator[Sequence[RemoteWorker]]:
        """Provide one worker for each name in `nodes`, in this order; those that wait afterwards stay."""
        self._pool.nodes = lambda _: nodes  # read before anything else can run
        async with self._pool.take(len(nodes), lambda _: None) as workers:
            yield workers

    @asynccontextmanager
    async def open_one(self, node: str, module: str) -> AsyncIterator[RemoteWorker]:
        """Provide a process of a module of this package, which ends with the block."""
        (worker,) = await self._cluster.open_workers(node, 1, module=module)
        try:
            yield worker
        finally:
            await self._cluster.close_workers([worker])

    async def open_keeper(self, node: str) -> RemoteWorker:
        """Start a process that keeps files on a node until the end of this block."""
        self._keepers += (keepers := await self._cluster.open_workers(node, 1, module=_KEEPER))
        return keepers[0]
