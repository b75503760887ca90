"""The hub's connection to one agent: relays its reports, hears whether it lives, and reads its clock."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import trio
from msgspec import Raw

from runner.cluster.facts import AgentInfo
from runner.cluster.lines import HalfLine, LineReader, LineTooLong
from runner.cluster.messages import AGENT_TO_HUB, Ping, Pong
from runner.cluster.silence import Silence
from runner.cluster.wire import encode
from runner.core.units import BYTES_PER_MIB, NS_PER_S, Bytes, Nanoseconds, Seconds

FLOOD: Final[Bytes] = 64 * BYTES_PER_MIB
"""Bytes within a second that end an agent's connection."""

_MOST_WAITING: Final = 1024
_MOST_WAITING_BYTES: Final[Bytes] = 128 * BYTES_PER_MIB
_ANSWER_WITHIN_S: Final[Seconds] = 15  # a ping: behind the longest line over a slow network

Forward = Callable[[str, Raw], Awaitable[None]]
"""Passes a report of a node's agent on to the runner, as it is."""


class AgentDropped(Exception):  # noqa: N818  (an event, not a bug)
    """The agent no longer takes part; the only argument says why."""


class HubAgent:
    """One admitted agent.

    Args:
        node: Its node's name.
        info: Its machine.
        address: Where it connects from.
        stream: The connection.
        reader: Of the same connection, whose first lines have been read.
        silent_s: A silence of so long means that it is lost.
    """

    def __init__(
        self,
        node: str,
        info: AgentInfo,
        address: str,
        *,
        stream: trio.SocketStream,
        reader: LineReader,
        silent_s: Seconds,
    ) -> None:
        self.node, self.info, self.address = node, info, address
        self._stream, self._reader = stream, reader
        self._silent_s = silent_s
        self._silence, self._unanswered = Silence(silent_s), Silence(max(silent_s, _ANSWER_WITHIN_S))
        self._heard_bytes: Bytes = 0
        self._forwards = False
        self._waiting = 0
        self._outbox, self._to_send = trio.open_memory_channel[bytes | _TimedPing](_MOST_WAITING)
        self._drop_reason = ""
        self.was_dropped = False
        """Whether the hub ended the connection, and the agent's process may go on."""
        self._scope = trio.CancelScope()
        self._pings = 0
        self._awaited: dict[int, _TimedPing] = {}
        self._second, self._in_second = 0, 0

    async def serve(self, forward: Forward) -> str:
        """Relay until the agent is lost; returns why."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send)
                    await self._receive(forward)
                    nursery.cancel_scope.cancel()
        except* AgentDropped as dropped:
            self._drop_reason = self._drop_reason or str(dropped.exceptions[0])
        finally:
            await trio.aclose_forcefully(self._stream)
        return self._drop_reason or "its connection ended"

    def drop(self, reason: str) -> None:
        """End the connection."""
        self._drop_reason, self.was_dropped = self._drop_reason or reason, True
        self._scope.cancel()

    def send(self, line: bytes) -> None:
        """Queue a line; the connection is ended if too much waits."""
        self._queue(line, len(line))

    def beat(self) -> None:
        """Send a ping, unless lines wait already."""
        if not self._waiting:
            self._pings += 1
            self.send(encode(Ping(id=self._pings)))

    def look(self) -> None:
        """Drop the agent if it was silent for too long."""
        if self._reader.received != self._heard_bytes or self._forwards:
            self._heard_bytes = self._reader.received
            self._silence.heard()
        if self._forwards:
            self._unanswered.heard()
        if self._silence.look():
            self.drop(f"silent for {self._silent_s:g} s")
        elif self._unanswered.look():
            self.drop(f"answered no ping for {max(self._silent_s, _ANSWER_WITHIN_S):g} s")

    async def round_trip(self) -> tuple[Nanoseconds, Nanoseconds, Nanoseconds]:
        """Ping once; returns when that began, what the agent's clock read, and when the answer came."""
        self._pings += 1
        ping = self._awaited[self._pings] = _TimedPing(self._pings)
        try:
            self._queue(ping, 0)
            await ping.answered.wait()
        finally:
            del self._awaited[ping.id]
        return ping.sent_ns, ping.at_ns, ping.received_ns

    def _queue(self, item: bytes | _TimedPing, size: Bytes) -> None:
        try:
            self._outbox.send_nowait(item)
        except (trio.WouldBlock, trio.BrokenResourceError):
            self.drop(f"it does not read: {_MOST_WAITING:,} messages wait for it")
            return
        self._waiting += size
        if self._waiting > _MOST_WAITING_BYTES:
            self.drop(f"it does not read: {self._waiting / BYTES_PER_MIB:,.0f} MiB wait for it")

    async def _send(self) -> None:
        """Send what is queued; nothing but this task sends, and only the end of the connection cancels it."""
        async for item in self._to_send:
            try:
                if isinstance(item, _TimedPing):
                    line = encode(Ping(id=item.id))
                    item.sent_ns = time.monotonic_ns()
                    await self._stream.send_all(line)
                    continue
                await self._stream.send_all(item)
            except trio.BrokenResourceError:
                raise AgentDropped("its connection broke") from None
            self._waiting -= len(item)

    async def _receive(self, forward: Forward) -> None:
        try:
            while (line := await self._reader.line()) is not None:
                received_ns = time.monotonic_ns()
                self._check_flow(len(line), received_ns)
                message = AGENT_TO_HUB.decode(line)
                if isinstance(message, Pong):
                    self._take(message, received_ns)
                    continue
                self._forwards = True
                await forward(self.node, message.report)
                self._forwards = False
        except trio.BrokenResourceError:
            raise AgentDropped("its connection broke") from None
        except HalfLine:
            raise AgentDropped("its connection ended in the middle of a message") from None
        except LineTooLong as error:
            raise AgentDropped(f"it sent {error}") from None
        except ValueError:
            raise AgentDropped("it sent an unreadable message") from None

    def _take(self, pong: Pong, received_ns: Nanoseconds) -> None:
        self._unanswered.heard()
        if ping := self._awaited.get(pong.id):
            ping.at_ns, ping.received_ns = pong.at_ns, received_ns
            ping.answered.set()

    def _check_flow(self, size: Bytes, now_ns: Nanoseconds) -> None:
        second = now_ns // NS_PER_S
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += size
        if self._in_second > FLOOD:
            raise AgentDropped(f"it sent more than {FLOOD // BYTES_PER_MIB} MiB within a second")


class _TimedPing:
    """A ping, when it was sent, and what was answered."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.answered = trio.Event()
        self.sent_ns = self.at_ns = self.received_ns = 0
