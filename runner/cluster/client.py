"""What the runner holds while agents run: it starts processes, asks questions, and reads clocks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec
import trio
from msgspec import Raw

from runner.cluster import clocks
from runner.cluster.agent_messages import Ask, json_content
from runner.cluster.asked import Asked
from runner.cluster.comeback import Comeback
from runner.cluster.errors import AgentFailed, HubLost
from runner.cluster.facts import AgentInfo, ClockOffset, LostAgent, ProbeOrder, ProbeResult
from runner.cluster.hub_connection import HubConnection
from runner.cluster.messages import Refused
from runner.cluster.placement import Node
from runner.cluster.remote_worker import RemoteWorker
from runner.core.units import Seconds

_Answer = TypeVar("_Answer")

WORKER: Final = "runner.load.worker"

_MEASURE_WITHIN_S: Final[Seconds] = 60
_START_WITHIN_S: Final[Seconds] = 15
_SPARE_S: Final[Seconds] = 5
"""How much longer the runner waits for an answer than the agent itself may take."""


class Cluster:
    """The agents of a run; `runner.cluster.opening.open_cluster` makes one.

    Args:
        hub: The connection to their hub.
        nodes: Where agents are.
        run_id: Of the run.
        place_again: Begins to place a new agent on a node whose agent is lost; returns at once.
        list_nodes: Returns all nodes as the engine sees them now.
    """

    def __init__(
        self,
        hub: HubConnection,
        nodes: Iterable[Node],
        *,
        run_id: str,
        place_again: Callable[[Node], None],
        list_nodes: Callable[[], Awaitable[Sequence[Node]]],
    ) -> None:
        self.run_id = run_id
        self.nodes: Final[Mapping[str, Node]] = {node.name: node for node in nodes}
        self.last_clocks: dict[str, ClockOffset] = {}
        """The last measured clock of each node."""
        self._hub = hub
        self._comeback = Comeback(hub, self.nodes, place_again, list_nodes)
        self._first_clocks = trio.Lock()

    @property
    def agents(self) -> Mapping[str, AgentInfo]:
        """The agents that have joined, lost ones included, by their nodes' names."""
        return self._hub.agents

    @property
    def lost(self) -> Mapping[str, LostAgent]:
        """Why the agent of a node no longer takes part."""
        return self._hub.lost

    @property
    def hub_lost(self) -> str:
        """Why the hub is gone, and with it all agents, as a sentence; empty while it lives."""
        return self._hub.hub_lost

    @property
    def refused(self) -> Refused:
        """The connections that the hub has refused because they did not prove that they know the secret."""
        return self._hub.refused

    async def wait_lost(self, known: Collection[str] = ()) -> LostAgent:
        """Wait until an agent is lost, and return it.

        Args:
            known: Names of nodes whose loss is not waited for.
        """

        def lost() -> LostAgent | None:
            return next((agent for node, agent in self.lost.items() if node not in known), None)

        return await self._hub.wait_until(lost)

    async def wait_hub_lost(self) -> str:
        """Wait until the hub is gone, and return why."""
        return await self._hub.wait_until(lambda: self.hub_lost or None)

    async def bring_back(self) -> tuple[str, ...]:
        """Place new agents on the nodes whose agents are lost; see `runner.cluster.comeback`."""
        return await self._comeback.bring_back()

    async def first_clocks(self) -> None:
        """Measure the clocks of all nodes, unless that was done or is under way.

        Raises:
            HubLost: As `clocks` does.
        """
        async with self._first_clocks:
            if not self.last_clocks:
                await self.clocks()

    async def clocks(self, names: Collection[str] | None = None) -> Mapping[str, ClockOffset]:
        """Measure how far the clocks of nodes are ahead of this machine's.

        Compare nodes by one call only: its leg between runner and hub is common to all nodes.

        Args:
            names: Of nodes; None for all whose agents are not lost.

        Returns:
            Name to offset; nodes whose agents do not answer are missing.

        Raises:
            HubLost: The hub is gone, or does not answer within a minute.
        """
        wanted = tuple(name for name in (self.agents if names is None else names) if name not in self.lost)
        with trio.move_on_after(_MEASURE_WITHIN_S):
            try:
                to_hub = await clocks.measure(self._hub.round_trip)
                measured = await self._hub.measure(wanted)
            except trio.BrokenResourceError:
                raise HubLost(self.hub_lost) from None
            now_ns, legs = time.monotonic_ns(), measured.legs
            if to_hub:
                offsets = {
                    node: clocks.combined(to_hub, legs[node], now_ns) for node in wanted if node in legs
                }
                self.last_clocks |= offsets
                return offsets
        raise HubLost(f"the hub measured no clocks within {_MEASURE_WITHIN_S:g} s")

    async def open_workers(self, node: str, count: int, *, module: str = WORKER) -> list[RemoteWorker]:
        """Start processes on a node, and return them when they run; end them with their `aclose`.

        Args:
            node: Name of the node.
            count: Number of processes.
            module: What they run, one of `AgentInfo.modules`.

        Raises:
            AgentFailed: One does not run within 15 s, or the agent is lost. None of them is left then.
        """
        workers = [
            RemoteWorker(node, self._hub.next_number(), self._hub.order, lambda: self.last_clocks.get(node))
            for _ in range(count)
        ]
        try:
            with trio.move_on_after(_START_WITHIN_S):
                async with trio.open_nursery() as nursery:
                    for worker in workers:
                        self._hub.parts.add(worker)
                        nursery.start_soon(_start, worker, module)
            _check_running(workers, f"{node}: {module} does not run")
        except BaseException:
            await self.close_workers(workers)
            raise
        return workers

    async def close_workers(self, workers: Iterable[RemoteWorker]) -> None:
        """End processes, all at the same time; not interrupted by a cancellation, bounded in time."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for worker in workers:
                    nursery.start_soon(self._close_worker, worker)

    async def probe(
        self, node: str, host: str, port: int, path: str | None = None, *, within: Seconds
    ) -> ProbeResult:
        """Connect from a node, and send one GET by HTTP/1.1 if there is a path.

        Args:
            node: Name of the node.
            host: Name or address, as the node resolves it.
            port: Of TCP.
            path: Of the URL, with its query; None for a connection only.
            within: The whole attempt, the look-up of the name included.

        Raises:
            AgentFailed: The agent is lost, or does not answer.
        """
        order = ProbeOrder(host=host, port=port, path=path, within_s=within)
        answer = await self.ask(node, "probe", msgspec.json.encode(order), within=within + _SPARE_S)
        return _decoded(node, answer, ProbeResult)

    async def ask(
        self,
        node: str,
        kind: str,
        payload: bytes | Raw,
        on_item: Callable[[bytes], None] | None = None,
        *,
        within: Seconds | None = None,
    ) -> Raw:
        """Ask the agent of a node, and return its answer, JSON.

        Args:
            node: Name of the node.
            kind: One of `AgentInfo.kinds`.
            payload: JSON in one line, at most 16 MiB.
            on_item: Called with each item of the stream before the answer.
            within: Seconds; None to wait until the agent answers or is lost.

        Raises:
            AgentFailed: The agent does not answer, or is lost.
        """
        with trio.move_on_after(float("inf") if within is None else within):
            async with self.open_ask(node, kind, payload) as asked:
                while (item := await asked.item()) is not None:
                    if on_item:
                        on_item(item)
                return await asked.answer()
        raise AgentFailed(f"{node}: the agent did not answer within {within:g} s ({kind})")

    @asynccontextmanager
    async def open_ask(self, node: str, kind: str, payload: bytes | Raw) -> AsyncIterator[Asked]:
        """Provide a question under way; it is withdrawn at the end of the block unless it has been answered.

        Args:
            node: Name of the node.
            kind: One of `AgentInfo.kinds`.
            payload: JSON in one line, at most 16 MiB.

        Raises:
            ValueError: The payload is something else.
        """
        content = json_content(payload)
        asked = Asked(node, self._hub.next_number(), self._hub.order)
        self._hub.parts.add(asked)
        try:
            await self._begin(asked, Ask(ask=asked.number, kind=kind, payload=content))
            yield asked
        finally:
            await asked.cancel()
            self._hub.parts.forget(asked)

    async def _begin(self, asked: Asked, order: Ask) -> None:
        try:
            await self._hub.order(asked.node, order)
        except trio.BrokenResourceError:
            lost = self.lost.get(asked.node)
            asked.fail(f"the agent is lost: {lost.reason}" if lost else "there is no agent")

    async def _close_worker(self, worker: RemoteWorker) -> None:
        await worker.aclose()
        self._hub.parts.forget(worker)


async def _start(worker: RemoteWorker, module: str) -> None:
    try:
        await worker.start(module)
    except trio.BrokenResourceError:
        worker.end(None, "the agent is lost")


def _check_running(workers: Iterable[RemoteWorker], failure: str) -> None:
    missing = [worker for worker in workers if not worker.is_running]
    if missing:
        reasons = [worker.error for worker in missing if worker.error]
        raise AgentFailed(f"{failure}: {reasons[0] if reasons else f'nothing within {_START_WITHIN_S:g} s'}")


def _decoded(node: str, answer: Raw, kind: type[_Answer]) -> _Answer:
    """Return an answer as its type.

    Raises:
        AgentFailed: It is another one.
    """
    try:
        return msgspec.json.decode(answer, type=kind)
    except (ValueError, RecursionError):
        raise AgentFailed(f"{node}: the agent sent another answer than it was asked for") from None
