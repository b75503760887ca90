"""The runner's connection to its hub: passes on what agents report, and notices who is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count as numbers
from typing import TypeVar

import msgspec
import trio

from runner.cluster.facts import AgentInfo, LostAgent
from runner.cluster.lines import LineTooLong, Outbox
from runner.cluster.messages import (
    HUB_MESSAGE,
    AgentGone,
    AgentJoined,
    ClocksMeasured,
    DropAgent,
    ExpectAgent,
    FromAgent,
    HubFailed,
    HubPing,
    HubPong,
    MeasureClocks,
    Refused,
    ToAgent,
)
from runner.cluster.placement import Channel
from runner.cluster.remote_parts import RemoteParts
from runner.cluster.silence import HEARTBEAT_S, HUB_SILENT_S, LOOK_EVERY_S, Silence
from runner.cluster.wire import WireMessage, encode, raw
from runner.core.units import Nanoseconds

_Reply = TypeVar("_Reply", HubPong, ClocksMeasured)
_Found = TypeVar("_Found")


class HubConnection:
    """A hub that listens, and what is known of its agents.

    Args:
        channel: To the hub.

    Attributes:
        agents: Those that have joined, lost ones included, by their nodes' names.
        lost: Why the agent of a node no longer takes part.
        hub_lost: Why the hub is gone, and where it was, as a sentence; empty while it lives.
        parts: The processes and questions that agents report of.
        refused: The connections that the hub has refused: how many, and address and reason of the last one.
    """

    def __init__(self, channel: Channel) -> None:
        self.agents: dict[str, AgentInfo] = {}
        self.lost: dict[str, LostAgent] = {}
        self.hub_lost = ""
        self.refused = Refused(count=0, address="", reason="")
        self.parts = RemoteParts()
        self._channel = channel
        self._outbox = Outbox(channel.send_line)
        self._changed = trio.Event()
        self._numbers = numbers()
        self._answers: dict[int, _Answer] = {}
        self._silence = Silence(HUB_SILENT_S)
        self._expected: set[str] = set()

    def next_number(self) -> int:
        """Return a number that no process and no question has."""
        return next(self._numbers)

    async def order(self, node: str, message: WireMessage) -> None:
        """Send an order to the agent of a node.

        Raises:
            trio.BrokenResourceError: The agent or the hub is lost.
        """
        if self.hub_lost or node in self.lost or node not in self.agents:
            raise trio.BrokenResourceError(f"there is no agent on {node}")
        await self._tell(ToAgent(node=node, order=raw(message)))

    async def wait_until(self, condition: Callable[[], _Found | None]) -> _Found:
        """Wait until a condition that depends on the attributes returns something, and return that."""
        while (found := condition()) is None:
            await self._changed.wait()
        return found

    async def round_trip(self) -> tuple[Nanoseconds, Nanoseconds, Nanoseconds]:
        """Ask the hub once for its clock; returns when that began, what the clock read, and when it ended.

        Raises:
            trio.BrokenResourceError: The hub is lost.
        """
        number = self.next_number()
        answer = self._answers[number] = _Answer()
        line = encode(HubPing(id=number))
        sent_ns = time.monotonic_ns()
        pong = await self._answered(number, answer, line, HubPong)
        return sent_ns, pong.at_ns, answer.at_ns

    async def measure(self, nodes: tuple[str, ...]) -> ClocksMeasured:
        """Let the hub measure the clocks of nodes.

        Raises:
            trio.BrokenResourceError: The hub is lost.
        """
        number = self.next_number()
        answer = self._answers[number] = _Answer()
        line = encode(MeasureClocks(id=number, nodes=nodes))
        return await self._answered(number, answer, line, ClocksMeasured)

    async def follow(self) -> None:
        """Take what the hub sends until it is gone."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, nursery.cancel_scope)
            nursery.start_soon(self._send)
            self.lose_hub(await self._receive())
            nursery.cancel_scope.cancel()

    def lose_hub(self, reason: str) -> None:
        """The hub is gone, and with it all agents; the first reason stays."""
        if self.hub_lost:
            return
        self.hub_lost = f"the hub on {self._channel.node} was lost: {reason}"
        for node in set(self.agents) - set(self.lost):
            self._lose(node, self.hub_lost)
        for answer in self._answers.values():
            answer.come.set()
        self._change()

    def explain(self, node: str, reason: str) -> None:
        """More is known of why the agent of a node is lost."""
        before = self.lost[node]
        self.lost[node] = LostAgent(node=node, reason=reason, at_ns=before.at_ns)

    async def expect_again(self, node: str) -> None:
        """From now on, an agent that joins on a node takes the place of the one that is lost there.

        Raises:
            trio.BrokenResourceError: The hub is lost.
        """
        self._expected.add(node)
        await self._tell(ExpectAgent(node=node))

    async def _answered(self, number: int, answer: _Answer, line: bytes, kind: type[_Reply]) -> _Reply:
        try:
            await self._send_line(line)
            await answer.come.wait()
        finally:
            del self._answers[number]
        if isinstance(answer.message, kind):
            return answer.message
        raise trio.BrokenResourceError(self.hub_lost or "the hub sent another answer")

    async def _tell(self, message: WireMessage) -> None:
        await self._send_line(encode(message))

    async def _send_line(self, line: bytes) -> None:
        if self.hub_lost:
            raise trio.BrokenResourceError(self.hub_lost)
        try:
            await self._outbox.send(line)
        except trio.BrokenResourceError:
            self.lose_hub("its connection ended")
            raise

    async def _send(self) -> None:
        try:
            await self._outbox.run()
        except trio.BrokenResourceError:
            self.lose_hub(self._last_words("its connection ended"))

    async def _watch(self, scope: trio.CancelScope) -> None:
        """Ping the hub, and lose it if it is silent for too long."""
        beats, number = round(HEARTBEAT_S / LOOK_EVERY_S), 0
        while not self.hub_lost:
            if self._silence.look():
                self.lose_hub(f"silent for {HUB_SILENT_S:g} s")
                break
            if number % beats == 0:
                await self._beat()
            number += 1
            await trio.sleep(LOOK_EVERY_S)
        scope.cancel()

    async def _beat(self) -> None:
        with trio.move_on_after(LOOK_EVERY_S):
            try:
                await self._tell(HubPing(id=self.next_number()))
            except trio.BrokenResourceError:
                return

    async def _receive(self) -> str:
        """Take messages until there are no more; returns why."""
        try:
            while (line := await self._channel.receive_line()) is not None:
                now_ns = time.monotonic_ns()
                self._silence.heard()
                message = HUB_MESSAGE.decode(line)
                if isinstance(message, HubFailed):
                    return message.reason
                await self._take(message, now_ns)
        except LineTooLong as error:
            return f"it sent {error}"
        except ValueError:
            return "it sent an unreadable message"
        except trio.BrokenResourceError:
            return "its connection broke"
        return self._last_words("its connection ended")

    def _last_words(self, reason: str) -> str:
        words = self._channel.last_words()
        return f"{reason}: {words[-1]}" if words else reason

    async def _take(self, message: object, now_ns: Nanoseconds) -> None:
        match message:
            case HubPong() | ClocksMeasured():
                if answer := self._answers.get(message.id):
                    answer.take(message, now_ns)
            case AgentJoined():
                self.agents[message.node] = message.info
                if message.node in self._expected and not self.hub_lost:
                    self._expected.discard(message.node)
                    self.lost.pop(message.node, None)
                self._change()
            case AgentGone():
                self._lose(message.node, message.reason)
            case Refused():
                total = self.refused.count + message.count
                self.refused = Refused(count=total, address=message.address, reason=message.reason)
            case FromAgent():
                await self._pass_on(message)

    async def _pass_on(self, message: FromAgent) -> None:
        """Pass a report on; an agent that sends what it must not is dropped."""
        if message.node in self.lost:
            return
        try:
            self.parts.pass_on(message.node, message.report)
        except msgspec.DecodeError:
            await self._drop(message.node, "it sent an unreadable report")
        except ValueError as error:
            await self._drop(message.node, f"it sent what the runner cannot take: {error}")

    async def _drop(self, node: str, reason: str) -> None:
        self._lose(node, reason)
        await self._tell(DropAgent(node=node, reason=reason))

    def _lose(self, node: str, reason: str) -> None:
        if node in self.lost:
            return
        self.lost[node] = LostAgent(node=node, reason=reason, at_ns=time.monotonic_ns())
        self.parts.lose(node, reason)
        self._change()

    def _change(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()


class _Answer:
    """What the hub answers, when it has."""

    def __init__(self) -> None:
        self.come = trio.Event()
        self.message: HubPong | ClocksMeasured | None = None
        self.at_ns: Nanoseconds = 0

    def take(self, message: HubPong | ClocksMeasured, at_ns: Nanoseconds) -> None:
        self.message, self.at_ns = message, at_ns
        self.come.set()
