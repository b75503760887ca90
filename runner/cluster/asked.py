"""A question to an agent while it is answered."""

from __future__ import annotations

from typing import Final

import trio
from msgspec import Raw

from runner.cluster.agent_messages import (
    AskAnswer,
    AskFailed,
    AskItem,
    CancelAsk,
    Tell,
    json_content,
)
from runner.cluster.errors import AgentFailed
from runner.cluster.remote_worker import SendOrder
from runner.core.units import BYTES_PER_MIB, Bytes

MOST_UNREAD_ITEMS: Final = 4096
MOST_UNREAD_BYTES: Final[Bytes] = 64 * BYTES_PER_MIB

AskReport = AskItem | AskAnswer | AskFailed


class Asked:
    """One question to the agent of one node.

    Args:
        node: Name of the node.
        number: Of the question.
        send: Sends an order to the agent.
    """

    def __init__(self, node: str, number: int, send: SendOrder) -> None:
        self.node, self.number = node, number
        self._send = send
        self._items, self._unread = trio.open_memory_channel[bytes](MOST_UNREAD_ITEMS)
        self._unread_bytes: Bytes = 0
        self._done = trio.Event()
        self._answer: Raw | None = None
        self._reason = ""

    async def item(self) -> bytes | None:
        """Return the next item of the stream, JSON; None when there will be none."""
        try:
            item = await self._unread.receive()
        except trio.EndOfChannel:
            return None
        self._unread_bytes -= len(item)
        return item

    async def tell(self, payload: bytes) -> None:
        """Send a further message, JSON, to who answers; nothing happens if it has answered.

        Raises:
            trio.BrokenResourceError: The agent is lost.
            ValueError: The message is no JSON in one line, or too long.
        """
        if not self._done.is_set():
            await self._send(self.node, Tell(ask=self.number, payload=json_content(payload)))

    async def answer(self) -> Raw:
        """Wait for the answer, and return it.

        Raises:
            AgentFailed: There is none, or the agent is lost.
        """
        await self._done.wait()
        if self._answer is None:
            raise AgentFailed(f"{self.node}: {self._reason}")
        return self._answer

    async def cancel(self) -> None:
        """Want no answer any more; never raises."""
        if self._done.is_set():
            return
        self.fail("the question was withdrawn")
        with trio.CancelScope(shield=True), trio.move_on_after(1):
            try:
                await self._send(self.node, CancelAsk(ask=self.number))
            except trio.BrokenResourceError:
                return

    def take(self, report: AskReport) -> None:
        """Take what the agent reports.

        Raises:
            ValueError: More items are unread than a question may have.
        """
        match report:
            case AskItem():
                self._take_item(bytes(report.item))
            case AskAnswer():
                self._answer = report.answer
                self._end()
            case AskFailed():
                self.fail(report.reason)

    def fail(self, reason: str) -> None:
        """There is no answer, unless it has come already."""
        if not self._done.is_set():
            self._reason = reason
            self._end()

    def _end(self) -> None:
        self._done.set()
        self._items.close()

    def _take_item(self, item: bytes) -> None:
        self._unread_bytes += len(item)
        if self._unread_bytes > MOST_UNREAD_BYTES:
            raise ValueError(
                f"more than {MOST_UNREAD_BYTES // BYTES_PER_MIB} MiB of an answer were not read yet"
            )
        try:
            self._items.send_nowait(item)
        except trio.WouldBlock:
            raise ValueError(
                f"more than {MOST_UNREAD_ITEMS:,} items of an answer were not read yet"
            ) from None
        except trio.ClosedResourceError:
            return  # it was withdrawn a moment ago
