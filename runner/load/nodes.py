"""Several machines that offer a stage together, each by its own clock.

All workers share one absolute schedule. When it begins on a node follows from the measured offset of the
node's clock; nothing depends on wall clocks or on when a message arrives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import trio

from runner.cluster.errors import AgentFailed
from runner.cluster.facts import AgentInfo, ClockOffset, LostAgent
from runner.core.errors import EnvironmentLacks
from runner.core.facts import Window
from runner.core.node_facts import NodeLoad
from runner.core.units import NS_PER_MS, NS_PER_S, Nanoseconds, PerSecond, Seconds
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.node_accounts import clock_facts, node_loads
from runner.load.node_files import NodeFiles
from runner.load.node_shares import node_of_each_worker
from runner.load.site import Worker
from runner.load.worker_accounts import Account
from runner.load.worker_count import worker_count
from runner.load.worker_order import WorkerOrder

_LEAD_NS: Final[Nanoseconds] = 300 * NS_PER_MS
_ROUND_TRIPS: Final = 4
_LEAD_PER_WORKER_NS: Final[Nanoseconds] = NS_PER_MS
_CLOCKS_AFTER_WITHIN_S: Final[Seconds] = 5.0


class Agents(Protocol):
    """What is needed of `runner.cluster.client.Cluster`."""

    @property
    def agents(self) -> Mapping[str, AgentInfo]:
        """Node to what its agent told."""

    @property
    def lost(self) -> Mapping[str, LostAgent]:
        """Node to why it is out of reach."""

    async def clocks(self, nodes: Sequence[str]) -> Mapping[str, ClockOffset]:
        """Return how far the clocks of nodes are ahead of this machine's; without nodes that are lost."""


class NodeProcesses(Protocol):
    """Processes of the generator on nodes."""

    def take(self, nodes: Sequence[str]) -> AbstractAsyncContextManager[Sequence[Worker]]:
        """Provide one worker for each name in `nodes`, in this order; those that wait afterwards stay."""

    def open_one(self, node: str, module: str) -> AbstractAsyncContextManager[Worker]:
        """Provide a process of a module of this package, which ends with the block."""


@dataclass(slots=True)
class GeneratorNodes:
    """The nodes that load comes from; implements `runner.load.site.Site`.

    Attributes:
        cluster: Their agents.
        names: The nodes, in order.
        processes: Worker processes on them.
        files: What was brought to them.
        ceilings: Node to the requests per second that it can offer at most; empty until that is measured.
        returned: Those that were lost before and take part from the next stage on.
    """

    cluster: Agents
    names: tuple[str, ...]
    processes: NodeProcesses
    files: NodeFiles
    ceilings: dict[str, PerSecond] = field(default_factory=dict)
    returned: tuple[str, ...] = ()

    def only(self, name: str) -> GeneratorNodes:
        """Return one of the nodes alone."""
        return replace(self, names=(name,))

    @asynccontextmanager
    async def open_single(self, module: str, order: WorkerOrder) -> AsyncIterator[tuple[Worker, WorkerOrder]]:
        """Provide a process on the first node, and an order whose files it can read."""
        node = self.left[0]
        async with self.open_process(node, module) as process:
            yield process, await self.files.localized(node, order)

    def open_process(self, node: str, module: str) -> AbstractAsyncContextManager[Worker]:
        """Provide a process on a node, which ends with the block."""
        return self.processes.open_one(node, module)

    @property
    def left(self) -> tuple[str, ...]:
        """The nodes that are not lost.

        Raises:
            AgentFailed: There is none.
        """
        left = tuple(name for name in self.names if name not in self.cluster.lost)
        if not left:
            reasons = "; ".join(f"{name}: {self.cluster.lost[name].reason}" for name in self.names)
            raise AgentFailed(
                f"no node is left to offer load ({reasons})",
                hint="see why the nodes or their agents ended, then run again",
            )
        return left

    def count(self, order: LoadOrder, targets: int) -> int:
        """Return how many workers all nodes start together."""
        return len(self.assignment(order, targets))

    def assignment(self, order: LoadOrder, targets: int) -> list[str]:
        """Return the node of each worker.

        Raises:
            AgentFailed: No node is left.
            EnvironmentLacks: The specification allows fewer requests in flight than that, or names a
                processor that a node does not have.
        """
        left = self.left
        self._check_cpus(order.load.cpus, left)
        cores = max(len(left), int(sum(self.cluster.agents[name].cores for name in left)))
        nodes = node_of_each_worker(
            self._capacities(left), at_least=worker_count(order, targets, cores), multiple_of=targets
        )
        if len(nodes) > order.load.max_in_flight:
            raise EnvironmentLacks(
                f"load.max_in_flight is {order.load.max_in_flight}, but {len(left)} nodes start {len(nodes)} "
                "workers",
                hint="each worker needs at least one request in flight: raise load.max_in_flight",
            )
        return nodes

    def _check_cpus(self, cpus: Sequence[int], nodes: Sequence[str]) -> None:
        for name in nodes:
            cores = self.cluster.agents[name].cores
            if cpus and max(cpus) >= cores:
                raise EnvironmentLacks(
                    f"load.cpus names processor {max(cpus)}, but {name} has {cores:g} that can be used",
                    hint="processors of a node count from 0; leave load.cpus out to use all",
                )

    def _capacities(self, nodes: Sequence[str]) -> dict[str, float]:
        """Return what each node can offer, by its measured ceiling, or by its cores while none is known."""
        if all(self.ceilings.get(name) for name in nodes):
            return {name: self.ceilings[name] for name in nodes}
        return {name: self.cluster.agents[name].cores for name in nodes}

    @asynccontextmanager
    async def gather(
        self, order: LoadOrder, count: int, on_spawn: Callable[[int], None]
    ) -> AsyncIterator[NodeTeam]:
        """Start processes on the nodes, or use those that wait there.

        Raises:
            AgentFailed: A node was lost meanwhile.
        """
        del on_spawn  # a watchdog of this machine cannot end them: agents do
        nodes = self.assignment(order, len(order.endpoint.addresses) or 1)
        if len(nodes) != count:
            raise AgentFailed("a node was lost when the stage was about to begin", hint="run again")
        async with self.processes.take(nodes) as workers:
            yield NodeTeam(self, nodes, workers)


@dataclass(slots=True)
class NodeTeam:
    """The workers of one stage on several nodes; implements `runner.load.site.Team`."""

    site: GeneratorNodes
    nodes: Sequence[str]
    workers: Sequence[Worker]
    _before: Mapping[str, ClockOffset] = field(default_factory=dict)

    def name(self, index: int) -> str:
        """Return such as ``generator worker 2 on node-2``."""
        return f"generator worker {index + 1} on {self.nodes[index]}"

    async def orders(self, orders: Sequence[WorkerOrder]) -> Sequence[WorkerOrder]:
        """Return orders whose files were brought to their nodes."""
        files = self.site.files
        return [await files.localized(node, one) for node, one in zip(self.nodes, orders, strict=True)]

    async def synchronize(self) -> Nanoseconds:
        """Measure the clocks of all nodes.

        Raises:
            AgentFailed: A node was lost meanwhile.
        """
        wanted = tuple(dict.fromkeys(self.nodes))
        self._before = await self.site.cluster.clocks(wanted)
        if missing := [node for node in wanted if node not in self._before]:
            lost = self.site.cluster.lost.get(missing[0])
            why = f": {lost.reason}" if lost else ""
            raise AgentFailed(
                f"{missing[0]} was lost before the stage began{why}",
                hint="see why the node or its agent ended, then run again",
            )
        slowest = max(clock.round_trip_ns for clock in self._before.values())
        return _LEAD_NS + _ROUND_TRIPS * slowest + _LEAD_PER_WORKER_NS * len(self.workers)

    def start_ns(self, index: int, start_ns: Nanoseconds) -> Nanoseconds:
        """Return what the clock of a worker's node reads then."""
        return self._before[self.nodes[index]].to_node_ns(start_ns)

    def started(self, window: Window) -> LoadStarted:
        """Return the processes on each node."""
        on_nodes: dict[str, dict[str, int]] = {}
        for index, (node, worker) in enumerate(zip(self.nodes, self.workers, strict=True)):
            on_nodes.setdefault(node, {})[f"generator-{index + 1}"] = worker.pid
        return LoadStarted((), window, on_nodes)

    def fault(self, index: int) -> str:
        """Return why the node is lost, as far as it is."""
        lost = self.site.cluster.lost.get(self.nodes[index])
        return f"was lost ({lost.reason})" if lost else ""

    async def facts(self, accounts: Sequence[Account], window: Window) -> tuple[NodeLoad, ...]:
        """Measure the clocks again, and return each node's part."""
        after: Mapping[str, ClockOffset] = {}
        alive = [node for node in dict.fromkeys(self.nodes) if node not in self.site.cluster.lost]
        with trio.move_on_after(_CLOCKS_AFTER_WITHIN_S), suppress(EnvironmentLacks):  # the hub may be lost
            after = await self.site.cluster.clocks(alive) if alive else {}
        return self._facts(accounts, window, after)

    def facts_so_far(self, accounts: Sequence[Account], window: Window) -> tuple[NodeLoad, ...]:
        """Return each node's part as far as it was reported; its clock was measured before the stage only."""
        return self._facts(accounts, window, {})

    def _facts(
        self, accounts: Sequence[Account], window: Window, after: Mapping[str, ClockOffset]
    ) -> tuple[NodeLoad, ...]:
        clocks = {
            node: clock_facts(before, after.get(node), window.start_ns)
            for node, before in self._before.items()
        }
        lost = self._lost(accounts, window)
        return node_loads(self.nodes, accounts, clocks, self.site.ceilings, lost)

    def _lost(self, accounts: Sequence[Account], window: Window) -> dict[str, tuple[str, Seconds]]:
        """Return why nodes were lost before their part was done, and when after the window began."""
        missing = {
            node for node, account in zip(self.nodes, accounts, strict=True) if account.is_out_of_reach
        }
        return {
            node: (lost.reason, round((lost.at_ns - window.measure_ns) / NS_PER_S, 3))
            for node, lost in self.site.cluster.lost.items()
            if node in missing
        }
