"""Generator processes on nodes, with the interface of `runner.load.worker_process.WorkerPool`."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from runner.cluster.client import WORKER, Cluster
from runner.cluster.errors import open_nursery
from runner.cluster.remote_worker import RemoteWorker


class RemoteWorkerPool:
    """Processes on nodes; they end when the pool is closed, however that happens.

    Args:
        cluster: Whose agents start them.
        nodes: Returns the name of the node of each process, for a number of processes.
        module: What they run.
    """

    def __init__(
        self, cluster: Cluster, nodes: Callable[[int], Sequence[str]], *, module: str = WORKER
    ) -> None:
        self.nodes = nodes
        self._cluster, self._module = cluster, module
        self._waiting: list[RemoteWorker] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cluster.close_workers(self._waiting)

    @asynccontextmanager
    async def take(self, count: int, on_spawn: Callable[[int], None]) -> AsyncIterator[list[RemoteWorker]]:
        """Provide processes for one stage; afterwards those that wait stay in the pool, and the others end.

        Args:
            count: Number of processes.
            on_spawn: Not called: the processes end with their agents, and no watchdog here can end them.

        Raises:
            AgentFailed: A process cannot be started, or an agent is lost.
        """
        del on_spawn
        taken: dict[str, list[RemoteWorker]] = {}
        nodes = self.nodes(count)
        try:
            await self._take(Counter(nodes), taken)
            ready = {node: iter(workers) for node, workers in taken.items()}
            yield [next(ready[node]) for node in nodes]
        finally:
            workers = [worker for of_node in taken.values() for worker in of_node]
            self._waiting += [worker for worker in workers if worker.waits]
            await self._cluster.close_workers(worker for worker in workers if not worker.waits)

    async def _take(self, counts: Mapping[str, int], taken: dict[str, list[RemoteWorker]]) -> None:
        """Take waiting processes, and start those that are missing on all nodes at the same time."""
        async with open_nursery() as nursery:
            for node, count in counts.items():
                taken[node] = self._take_waiting(node, count)
                nursery.start_soon(self._start, node, count - len(taken[node]), taken[node])

    async def _start(self, node: str, count: int, taken: list[RemoteWorker]) -> None:
        taken += await self._cluster.open_workers(node, count, module=self._module)

    def _take_waiting(self, node: str, count: int) -> list[RemoteWorker]:
        ready = [worker for worker in self._waiting if worker.node == node and worker.is_running][:count]
        self._waiting = [worker for worker in self._waiting if worker not in ready]
        for worker in ready:
            worker.waits = False
        return ready
