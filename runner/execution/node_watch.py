"""Observes every node that takes part in a trial, through the agents of its cluster.

Samples arrive while the window lasts; counters and programs come with an agent's answer at its end. A node
whose agent is lost keeps the samples that arrived, and a note says what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio
from msgspec.structs import replace

from runner.cluster.asked import Asked
from runner.cluster.client import Cluster
from runner.cluster.errors import AgentFailed, HubLost
from runner.cluster.facts import ClockOffset
from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, PlacedPart, Sample, Subject
from runner.core.units import NS_PER_S, Nanoseconds, Seconds
from runner.execution.node_pages import fetch_from_node
from runner.execution.observed_node import ObservedNode
from runner.observe.bounds import BoundExceeded, PageUnreadable
from runner.observe.clock import sleep_until
from runner.observe.counters.page_watch import Pages
from runner.observe.node.kind import OBSERVE
from runner.observe.node.messages import STOP, encode
from runner.stack.host_identity import boot_id

_RECENT_NS: Final[Nanoseconds] = 300 * NS_PER_S
"""In this time a clock drifts by some 15 ms, which is little between two samples."""
_ANSWER_WITHIN_NS: Final[Nanoseconds] = 10 * NS_PER_S
"""After the window's end; an agent answers within some 0.1 s."""
_STOP_WITHIN_S: Final[Seconds] = 2.0
_LATEST_S: Final[Seconds] = 5.0
"""After the window's end no sample is of this window."""

OnSample = Callable[[str, Sample, tuple[Subject, ...]], None]


@dataclass(slots=True)
class NodeWatch:
    """The observation of all nodes in one trial.

    Args:
        cluster: Whose agents observe.
        window: The trial's parts on the runner's clock.
        interval: Seconds between samples.
        placed: The containers of the system under test.
        workers: Node to the processes that generate load there: subject's name to pid.
        on_sample: Called with each node's samples as they arrive.
    """

    cluster: Cluster
    window: Window
    interval: Seconds
    placed: Sequence[PlacedPart]
    workers: Mapping[str, Mapping[str, int]]
    on_sample: OnSample
    _nodes: dict[str, ObservedNode] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        names = dict.fromkeys([*self.workers, *(part.node for part in self.placed)])
        for name in names:
            placed = tuple(part for part in self.placed if part.node == name)
            pages = Pages(
                {part.name: part.metrics_url for part in placed if part.metrics_url},
                {part.name: part.status_url for part in placed if part.status_url},
                fetch=partial(fetch_from_node, self.cluster, name),
            )
            self._nodes[name] = ObservedNode(name, placed, self.workers.get(name, {}), pages)

    async def watch(self) -> None:
        """Watch until soon after the window's end; a cancellation still waits up to 2 s for the counters.

        It never raises because of an agent or what it sends.
        """
        async with trio.open_nursery() as nursery:
            for node in self._nodes.values():
                nursery.start_soon(self._watch_pages, node)
            await self._watch_nodes()

    async def _watch_pages(self, node: ObservedNode) -> None:
        """Read the pages of a node, once in advance: an agent prepares for its first request."""
        with trio.move_on_after(max(0.0, (self.window.measure_ns - time.monotonic_ns()) / NS_PER_S)):
            for url in (*node.pages.metrics_urls.values(), *node.pages.status_urls.values()):
                with suppress(PageUnreadable, BoundExceeded):
                    await fetch_from_node(self.cluster, node.name, url)
        await node.pages.watch(self.window, node.readings)

    async def _watch_nodes(self) -> None:
        recent = {name: clock for name in self._nodes if (clock := self._recent_clock(name))}
        async with trio.open_nursery() as nursery:
            for name, clock in recent.items():
                nursery.start_soon(self._watch_node, self._nodes[name], clock)
            others = [name for name in self._nodes if name not in recent]
            for name, clock in (await self._clocks(others)).items():
                nursery.start_soon(self._watch_node, self._nodes[name], clock)

    def add_to(self, observed: ObservedFacts) -> ObservedFacts:
        """Return what was observed on this machine, with the nodes.

        Where this machine is one of them, its agent tells which programs are no part of the experiment: from
        here, containers and workers of the node look like strangers.
        """
        programs = () if self._includes_this_machine() else observed.programs
        return replace(observed, nodes=self.facts(), programs=programs)

    def _includes_this_machine(self) -> bool:
        try:
            here = boot_id()
        except OSError:  # no Linux
            return False
        agents = (self.cluster.agents[name] for name in self._nodes if name in self.cluster.agents)
        return any(agent.boot_id == here for agent in agents)

    def facts(self) -> dict[str, ObservedFacts]:
        """Return what is known of each node so far."""
        return {name: node.facts() for name, node in self._nodes.items()}

    def _recent_clock(self, name: str) -> ClockOffset | None:
        """Return the offset of a node's clock if it was measured a moment ago, as when its load began."""
        clock = self.cluster.last_clocks.get(name)
        return clock if clock and time.monotonic_ns() - clock.at_ns < _RECENT_NS else None

    async def _clocks(self, names: Sequence[str]) -> Mapping[str, ClockOffset]:
        try:
            return await self.cluster.clocks(names) if names else {}
        except HubLost:
            return {}

    async def _watch_node(self, node: ObservedNode, clock: ClockOffset) -> None:
        order = node.order(self.window, self.interval, clock, self.cluster.run_id)
        try:
            async with (
                self.cluster.open_ask(node.name, OBSERVE, encode(order)) as asked,
                trio.open_nursery() as nursery,
            ):
                nursery.start_soon(self._limit, nursery.cancel_scope)
                try:
                    await self._receive(node, asked)
                except trio.Cancelled:
                    await self._stop(node, asked)
                    raise
                nursery.cancel_scope.cancel()
        except* (AgentFailed, trio.BrokenResourceError):
            pass

    async def _receive(self, node: ObservedNode, asked: Asked) -> None:
        """Take the samples, then the answer."""
        length_s = (self.window.end_ns - self.window.measure_ns) / NS_PER_S
        while (item := await asked.item()) is not None:
            sample = node.take(item, length_s + _LATEST_S)
            if sample is not None:
                self.on_sample(node.name, sample, node.subjects)
        node.conclude(bytes(await asked.answer()))

    async def _limit(self, scope: trio.CancelScope) -> None:
        await sleep_until(self.window.end_ns + _ANSWER_WITHIN_NS)
        scope.cancel()

    async def _stop(self, node: ObservedNode, asked: Asked) -> None:
        """Let the agent answer at once: its counters show what went wrong."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _STOP_WITHIN_S):
            await asked.tell(STOP)
            await self._receive(node, asked)
