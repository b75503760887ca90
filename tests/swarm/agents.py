"""The agents of a run, for several tests: in a thread, because each test has an event loop of its own."""

from __future__ import annotations

import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeAlias

import trio

from runner.cluster.client import Cluster
from runner.execution.run_agents import Agents, RunAgents
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import Stack, StackContext
from runner.stack.swarm import open_swarm

WITHIN_S = 60


Job: TypeAlias = tuple[Callable[[], Awaitable[None]], Future[None]]


@dataclass
class SharedAgents:
    """Agents that are started when the first test needs them.

    Attributes:
        context: Of their run.
        lines: What the user was told.
    """

    context: StackContext
    lines: list[str]
    _agents: RunAgents
    _token: trio.lowlevel.TrioToken
    _jobs: trio.MemorySendChannel[Job]

    def run(self, check: Callable[[], Awaitable[None]]) -> None:
        """Run a check in the task of the agents; what it raises is raised here."""
        end: Future[None] = Future()
        trio.from_thread.run_sync(self._jobs.send_nowait, (check, end), trio_token=self._token)
        end.result()

    async def around(self, topology: SwarmTopology, context: StackContext) -> Agents:
        """Return the agents for a stack."""
        return await self._agents.around(topology, 1, context)

    @asynccontextmanager
    async def opened(
        self, topology: SwarmTopology, context: StackContext
    ) -> AsyncIterator[tuple[Stack, Cluster]]:
        """Provide a stack, and the agents around it."""
        agents = await self.around(topology, context)
        placed = replace(context, placer=agents.placer, cluster=agents.cluster, prepared=agents.prepared)
        async with open_swarm(topology, placed) as stack:
            yield stack, agents.cluster

    def end(self) -> None:
        """Remove the agents."""
        with suppress(trio.RunFinishedError):
            trio.from_thread.run_sync(self._jobs.close, trio_token=self._token)


@contextmanager
def shared_agents(context: StackContext) -> Iterator[SharedAgents]:
    """Provide the agents of a run."""
    started: queue.SimpleQueue[SharedAgents] = queue.SimpleQueue()

    async def live() -> None:
        lines: list[str] = []
        sending, receiving = trio.open_memory_channel[Job](1)
        own = replace(context, say=lines.append)
        async with RunAgents() as agents:
            started.put(SharedAgents(own, lines, agents, trio.lowlevel.current_trio_token(), sending))
            async for check, end in receiving:
                await _run(check, end)

    with ThreadPoolExecutor(1) as threads:
        life = threads.submit(trio.run, live)
        shared = started.get()
        try:
            yield shared
        finally:
            shared.end()
            life.result()


async def _run(check: Callable[[], Awaitable[None]], end: Future[None]) -> None:
    try:
        await check()
    except Exception as error:  # noqa: BLE001  (raised in the test)
        end.set_exception(error)
    except BaseException as error:
        end.set_exception(AssertionError(f"the agents are gone: {error!r}"))
        raise
    else:
        end.set_result(None)


async def statuses(stack: Stack, cluster: Cluster, nodes: Sequence[str]) -> list[int | None]:
    """Return what each node gets from where the load goes."""
    endpoint = stack.endpoint
    return [
        (await cluster.probe(node, endpoint.host, endpoint.port, "/", within=WITHIN_S)).status
        for node in nodes
    ]
