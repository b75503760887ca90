"""An agent: joins the hub, does what the runner orders, and ends itself when the hub is gone.

It is told nothing by the engine that placed it after its start, and needs no privilege.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import trio

from runner.cluster.agent_asks import AgentAsks, Answer
from runner.cluster.agent_link import AgentPlan, CannotJoin, join
from runner.cluster.agent_messages import AGENT_ORDER, EndProcess, ProcessInput, StartProcess
from runner.cluster.agent_processes import AgentProcesses
from runner.cluster.errors import first_of
from runner.cluster.exits import EXPIRED, HUB_GONE, MISUSED, NOT_ADMITTED, OK
from runner.cluster.heartbeat import BEATS_FOR_NS, Heartbeat
from runner.cluster.lines import LineReader, LineWriter, Outbox
from runner.cluster.machine import describe_machine
from runner.cluster.messages import HUB_TO_AGENT, Down, Ping, Pong, Up
from runner.cluster.signals import end_on_signal
from runner.cluster.silence import LOOK_EVERY_S, Silence
from runner.cluster.wire import WireMessage, encode, raw

MOST_FRAMES: Final = 300
"""Bounds how deeply JSON may be nested. The hub allows more, and the runner more than the hub."""

_LONGEST_PLAN: Final = 64 * 1024
_PREPARES_AFTER_S: Final = 1.0


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the runner may ask of an agent.

    Attributes:
        modules: That it starts as processes.
        kinds: Kind of a question to the function that answers.
        prepare: Called in a thread a second after the agent has joined, such as to import what answers need.
    """

    modules: Collection[str]
    kinds: Mapping[str, Answer]
    prepare: Callable[[], None] = _nothing


class HubGone(Exception):  # noqa: N818  (an event, not a bug)
    """The hub no longer speaks to this agent; the only argument says why."""


class Agent:
    """An agent that has joined.

    Args:
        node: Name of its node.
        plan: Of the run.
        stream: The connection to the hub.
        reader: Of the same connection.
    """

    def __init__(self, node: str, plan: AgentPlan, stream: trio.SocketStream, reader: LineReader) -> None:
        self._node, self._plan = node, plan
        self._reader, self._writer = reader, LineWriter(stream)
        self._outbox = Outbox(self._writer.send)
        self._silence, self._heartbeat = Silence(plan.no_ping_s), Heartbeat()

    async def serve(self, abilities: Abilities) -> None:
        """Serve until it is cancelled.

        Raises:
            HubGone: The connection has ended, or the hub was silent.
        """
        async with trio.open_nursery() as nursery:
            processes = AgentProcesses(abilities.modules, self._report, nursery, self._heartbeat)
            asks = AgentAsks(
                self._node, abilities.kinds, report=self._report, pids=processes.pids, nursery=nursery
            )
            nursery.start_soon(self._watch)
            nursery.start_soon(self._outbox.run)
            nursery.start_soon(_prepare, abilities)
            try:
                await self._receive(processes, asks, nursery)
            finally:
                await processes.end_all()
                self._heartbeat.close()

    async def _receive(self, processes: AgentProcesses, asks: AgentAsks, nursery: trio.Nursery) -> None:
        try:
            while (line := await self._reader.line()) is not None:
                message = HUB_TO_AGENT.decode(line)
                if isinstance(message, Ping):
                    await self._answer(message, nursery)
                else:
                    _obey(message, processes, asks)
        except trio.BrokenResourceError:
            raise HubGone("the connection to the hub broke") from None
        except ValueError as error:
            raise HubGone(f"the hub sent what this agent cannot do: {error}") from None
        raise HubGone("the hub ended the connection")

    async def _answer(self, ping: Ping, nursery: trio.Nursery) -> None:
        """Answer at once; if a line is under way, after it, and without keeping other messages waiting."""
        self._silence.heard()
        if self._writer.lock.locked():
            nursery.start_soon(self._pong, ping)
        else:
            await self._pong(ping)

    async def _pong(self, ping: Ping) -> None:
        async with self._writer.lock:
            await self._writer.send_locked(encode(Pong(id=ping.id, at_ns=time.monotonic_ns())))

    async def _report(self, message: WireMessage) -> None:
        await self._outbox.send(encode(Up(report=raw(message))))

    async def _watch(self) -> None:
        while True:
            await trio.sleep(LOOK_EVERY_S)
            if self._silence.look():
                raise HubGone(f"the hub was silent for {self._plan.no_ping_s:g} s")
            if self._silence.length_ns < BEATS_FOR_NS:
                self._heartbeat.beat()


async def _prepare(abilities: Abilities) -> None:
    """Prepare for questions when agents that share this machine's processors have joined as well."""
    await trio.sleep(_PREPARES_AFTER_S)
    await trio.to_thread.run_sync(abilities.prepare, abandon_on_cancel=True)


def _obey(message: Down, processes: AgentProcesses, asks: AgentAsks) -> None:
    order = AGENT_ORDER.decode(message.order)
    if isinstance(order, StartProcess | ProcessInput | EndProcess):
        processes.obey(order)
    else:
        asks.obey(order)


async def run(node: str, plan: AgentPlan, abilities: Abilities, *, beside_hub: bool = False) -> int:
    """Join the hub and serve; returns the exit status.

    Args:
        node: Name of the node.
        plan: Of the run.
        abilities: What the runner may ask of this agent.
        beside_hub: Whether the hub writes to the same standard error: its last words are then the last ones.
    """
    with trio.move_on_after(plan.expires_s):
        try:
            stream, reader = await join(plan, node, describe_machine(abilities.modules, abilities.kinds))
        except CannotJoin as error:
            return _ended(str(error), NOT_ADMITTED)
        try:
            reason = await _serve(Agent(node, plan, stream, reader), abilities)
        finally:
            await trio.aclose_forcefully(stream)
        return HUB_GONE if beside_hub else _ended(reason, HUB_GONE)
    return _ended(f"its order has expired after {plan.expires_s:g} s", EXPIRED)


async def _serve(agent: Agent, abilities: Abilities) -> str:
    """Serve until the hub is gone; returns why it is."""
    reason = ""
    try:
        await agent.serve(abilities)
    except* HubGone as gone:
        reason = str(first_of(gone))
    except* trio.BrokenResourceError:
        reason = reason or "the connection to the hub broke"
    return reason


def _ended(reason: str, status: int) -> int:
    """Say why the agent ends; returns the status."""
    sys.stderr.write(f"the agent ends: {reason}\n")
    return status


def main(abilities: Abilities) -> None:
    """Entry point: ``python -m runner.agent FILE NODE`` with the file of an `AgentPlan`.

    Args:
        abilities: What the runner may ask of this agent.
    """
    if len(sys.argv) != 3:
        sys.exit(_ended("it needs the file of its order and the name of its node", MISUSED))
    file, node = sys.argv[1:]
    try:
        with Path(file).open("rb") as content:
            plan = msgspec.json.decode(content.read(_LONGEST_PLAN), type=AgentPlan)
    except (OSError, ValueError) as error:
        sys.exit(_ended(f"{file} cannot be read: {error}", MISUSED))
    sys.setrecursionlimit(MOST_FRAMES)
    sys.exit(trio.run(_run_until_signal, node, plan, abilities, False))


def live_beside_hub(abilities: Abilities, node: str, plan: AgentPlan) -> int:
    """Be the agent beside the hub until a signal or the loss of the hub; returns the exit status.

    Args:
        abilities: What the runner may ask of it.
        node: Name of its node.
        plan: Of the run.
    """
    sys.setrecursionlimit(MOST_FRAMES)
    return trio.run(_run_until_signal, node, plan, abilities, True)


async def _run_until_signal(node: str, plan: AgentPlan, abilities: Abilities, beside_hub: bool) -> int:
    status = OK
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_on_signal, nursery.cancel_scope)
        status = await run(node, plan, abilities, beside_hub=beside_hub)
        nursery.cancel_scope.cancel()
    return status
