"""The program between the runner and all agents, on the machine that takes the runner's orders.

    python -P -m runner.cluster.hub < messages of the runner > messages to it

Its first line is a `HubOrder`. The end of its standard input ends it, and with it all agents.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # nothing is garbage yet, and to look for it takes a tenth of the time of the imports

import os
import resource
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Final

import trio
from msgspec import Raw

from runner.cluster import clocks
from runner.cluster.agent_link import AgentPlan
from runner.cluster.exits import EXPIRED, FAILED, MISUSED, OK
from runner.cluster.hub_agent import HubAgent
from runner.cluster.hub_door import Door
from runner.cluster.lines import LineReader, LineWriter, Outbox
from runner.cluster.messages import (
    HUB_ORDER,
    RUNNER_MESSAGE,
    AgentGone,
    AgentJoined,
    ClocksMeasured,
    Down,
    DropAgent,
    ExpectAgent,
    FromAgent,
    HubFailed,
    HubOrder,
    HubPing,
    HubPong,
    HubReady,
    Leg,
    MeasureClocks,
    ToAgent,
)
from runner.cluster.own_agent import OwnAgent, OwnOrder
from runner.cluster.signals import end_on_signal
from runner.cluster.silence import HEARTBEAT_S, LOOK_EVERY_S, NO_PING_S
from runner.cluster.wire import WireMessage, encode
from runner.core.units import Seconds

_ORDER_WITHIN_S: Final[Seconds] = 60
_MORE_FOR_ALL_S: Final[Seconds] = 4  # of many nodes, each has less time
_MEASURED_AT_ONCE: Final = 2  # more would make one another's round trips longer
_BACKLOG: Final = 4096
_REFUSED_EVERY_S: Final[Seconds] = 1
_END_WITHIN_S: Final[Seconds] = 2
"""The process of an agent ends with its connection."""
_MOST_FRAMES: Final = 500  # more than agents have, fewer than the runner: see `runner.cluster.agent`


class Hub:
    """What the hub does with its order.

    Args:
        order: From the runner.
        runner: Where messages to the runner go.
        own: The agent beside this hub, if there is one.
    """

    def __init__(self, order: HubOrder, runner: LineWriter, own: OwnAgent | None = None) -> None:
        self._order, self._runner, self._own = order, runner, own
        self._outbox = Outbox(runner.send)
        self._door = Door(order)
        self._agents: dict[str, HubAgent] = {}

    async def serve(self, reader: LineReader) -> None:
        """Serve until the runner ends the connection.

        Raises:
            OSError: It cannot listen.
            ValueError: The runner sent an unreadable message.
            trio.BrokenResourceError: The runner is gone.
        """
        listeners = await trio.open_tcp_listeners(self._order.port, host=self._order.host, backlog=_BACKLOG)
        port = listeners[0].socket.getsockname()[1]
        if self._own:
            self._own.order(_own_order(self._order, port))
        await self._runner.send(encode(HubReady(port=port)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._outbox.run)
            nursery.start_soon(partial(trio.serve_listeners, self._receive, listeners))
            nursery.start_soon(self._watch)
            nursery.start_soon(self._report_refused)
            if self._own:
                nursery.start_soon(self._own.follow)
                nursery.start_soon(self._report_end, self._own)
            while (line := await reader.line()) is not None:
                await self._obey(line, nursery)
            nursery.cancel_scope.cancel()

    async def _obey(self, line: bytes, nursery: trio.Nursery) -> None:
        match message := RUNNER_MESSAGE.decode(line):
            case HubPing():
                await self._tell(HubPong(id=message.id, at_ns=time.monotonic_ns()))
            case MeasureClocks():
                nursery.start_soon(self._measure, message)
            case ToAgent():
                if agent := self._agents.get(message.node):
                    agent.send(encode(Down(order=message.order)))
            case DropAgent():
                if agent := self._agents.get(message.node):
                    agent.drop(message.reason)
            case ExpectAgent():
                self._door.expect_again(message.node)

    async def _tell(self, message: WireMessage) -> None:
        await self._outbox.send(encode(message))

    async def _forward(self, node: str, report: Raw) -> None:
        await self._tell(FromAgent(node=node, report=report))

    async def _receive(self, stream: trio.SocketStream) -> None:
        """Serve one connection."""
        agent = await self._door.admit(stream)
        if agent is None:
            return
        self._agents[agent.node] = agent
        await self._tell(AgentJoined(node=agent.node, info=agent.info, address=agent.address))
        reason = await agent.serve(self._forward)
        if self._agents.get(agent.node) is not agent:
            return  # another one has taken its place
        del self._agents[agent.node]
        await self._tell(AgentGone(node=agent.node, reason=await self._explained(agent, reason)))

    async def _explained(self, agent: HubAgent, reason: str) -> str:
        """Add how its process has ended, if that is the agent beside this hub."""
        own = self._own
        is_own = own and agent.node == self._order.own_node and agent.info.pid == own.pid
        if own and is_own and not agent.was_dropped:
            with trio.move_on_after(_END_WITHIN_S):
                await own.has_ended.wait()
                return f"{reason}; {own.end}"
        return reason

    async def _report_end(self, own: OwnAgent) -> None:
        """Tell the runner that the agent beside this hub has ended instead of joining."""
        await own.has_ended.wait()
        node = self._order.own_node
        if node and not self._door.has_joined(node):
            await self._tell(AgentGone(node=node, reason=own.end))

    async def _watch(self) -> None:
        """Ping all agents, and drop those that are silent; never waits for the runner."""
        begin, beats = trio.current_time(), round(HEARTBEAT_S / LOOK_EVERY_S)
        number = 0
        while True:
            agents = tuple(self._agents.values())
            for agent in agents:
                agent.look()
                if number % beats == 0:
                    agent.beat()
            number = max(number + 1, int((trio.current_time() - begin) / LOOK_EVERY_S))
            await trio.sleep_until(begin + number * LOOK_EVERY_S)

    async def _report_refused(self) -> None:
        while True:
            await trio.sleep(_REFUSED_EVERY_S)
            if refused := self._door.refusals():
                await self._tell(refused)

    async def _measure(self, order: MeasureClocks) -> None:
        legs: dict[str, Leg] = {}
        more_for_s = min(clocks.MORE_FOR_S, _MORE_FOR_ALL_S / max(1, len(order.nodes)))
        limiter = trio.CapacityLimiter(_MEASURED_AT_ONCE)

        async def measure(agent: HubAgent) -> None:
            async with limiter:
                if leg := await clocks.measure(agent.round_trip, more_for_s):
                    legs[agent.node] = leg

        async with trio.open_nursery() as nursery:
            for node in order.nodes:
                if agent := self._agents.get(node):
                    nursery.start_soon(measure, agent)
        await self._tell(ClocksMeasured(id=order.id, legs=legs))


def _own_order(order: HubOrder, port: int) -> OwnOrder | None:
    """Return what the agent beside this hub is to do."""
    if order.own_node is None:
        return None
    plan = AgentPlan(
        run_id=order.run_id,
        secret=order.secret,
        hub="::1" if ":" in order.host else "127.0.0.1",
        port=port,
        expires_s=order.expires_s,
        no_ping_s=NO_PING_S,
    )
    return OwnOrder(node=order.own_node, plan=plan)


async def run(own: OwnAgent | None) -> int:
    """Read the order and serve; returns the exit status.

    Args:
        own: The agent beside this hub, if there is one.
    """
    reader = LineReader(trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())))
    runner = LineWriter(trio.lowlevel.FdStream(os.dup(sys.stdout.fileno())))
    order = await _order(reader)
    if order is None:
        return MISUSED
    with trio.move_on_after(order.expires_s):
        return await _serve(order, reader, runner, own)
    return EXPIRED


async def _order(reader: LineReader) -> HubOrder | None:
    with trio.move_on_after(_ORDER_WITHIN_S), suppress(ValueError):
        return HUB_ORDER.decode(await reader.line() or b"")
    sys.stderr.write("the hub received no readable order\n")
    return None


async def _serve(order: HubOrder, reader: LineReader, runner: LineWriter, own: OwnAgent | None) -> int:
    status, reason = OK, ""
    try:
        await Hub(order, runner, own).serve(reader)
    except* trio.BrokenResourceError:
        pass  # the runner is gone
    except* (OSError, ValueError) as errors:
        status, reason = FAILED, str(errors.exceptions[0])
    if reason:
        sys.stderr.write(f"the hub ends: {reason}\n")
        with suppress(trio.BrokenResourceError), trio.move_on_after(1):
            await runner.send(encode(HubFailed(reason=reason[:2000])))
    return status


def _allow_most_files() -> None:
    """Allow as many open files as this user may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run_until_signal(own: OwnAgent | None) -> int:
    status = OK
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_on_signal, nursery.cancel_scope)
        status = await run(own)
        nursery.cancel_scope.cancel()
    return status


def main(own: OwnAgent | None = None) -> None:
    """Be the hub until the runner or a signal ends it, and exit.

    Args:
        own: The agent beside this hub, if there is one.
    """
    sys.setrecursionlimit(_MOST_FRAMES)
    _allow_most_files()
    sys.exit(trio.run(_run_until_signal, own))


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    main()
