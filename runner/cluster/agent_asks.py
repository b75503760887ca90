"""Questions that an agent answers, each by a function of its own; the dictionary of kinds is the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import trio
from msgspec import Raw

from runner.cluster.agent_messages import (
    Ask,
    AskAnswer,
    AskFailed,
    AskItem,
    CancelAsk,
    Tell,
    json_content,
)
from runner.cluster.agent_processes import Report
from runner.cluster.errors import first_of

MOST_ASKS: Final = 256

_MOST_TOLD: Final = 64
_REASON_CHARACTERS: Final = 1000


class Unanswerable(Exception):  # noqa: N818  (reads as the sentence it is)
    """A question has no answer; the only argument tells the runner why."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a function that answers a question is given besides the question.

    Attributes:
        node: Name of the node.
        send: Streams one item, JSON of at most 16 MiB, to who asked.
        told: Further messages of who asked; at most 64 wait.
        pids: Returns the pids of the generator processes that run, by the numbers that the runner gave them.
    """

    node: str
    send: Callable[[bytes], Awaitable[None]]
    told: trio.MemoryReceiveChannel[Raw]
    pids: Callable[[], Mapping[int, int]]


Answer = Callable[[Raw, Call], Awaitable[bytes]]
"""Answers a question: takes its JSON, returns the answer's JSON. It is cancelled if nobody wants the answer.

It raises `Unanswerable` or `ValueError`, which the runner is told; so is every other failure.
"""


class AgentAsks:
    """The questions under way.

    Args:
        node: Name of the node.
        kinds: Kind to the function that answers.
        report: Sends a report to the runner.
        pids: Returns the pids of the generator processes, by their numbers.
        nursery: In which questions are answered.
    """

    def __init__(
        self,
        node: str,
        kinds: Mapping[str, Answer],
        *,
        report: Report,
        pids: Callable[[], Mapping[int, int]],
        nursery: trio.Nursery,
    ) -> None:
        self._node, self._kinds, self._report, self._pids = node, kinds, report, pids
        self._nursery = nursery
        self._asks: dict[int, tuple[trio.CancelScope, trio.MemorySendChannel[Raw]]] = {}
        self._numbers: set[int] = set()

    def obey(self, order: Ask | Tell | CancelAsk) -> None:
        """Begin to do what the runner wants.

        Raises:
            ValueError: A number was used before, or too much is told.
        """
        if isinstance(order, Ask):
            if order.ask in self._numbers:
                raise ValueError(f"question {order.ask} was asked before")
            self._numbers.add(order.ask)
            self._nursery.start_soon(self._answer, order)
        elif order.ask in self._asks:
            scope, tell = self._asks[order.ask]
            if isinstance(order, CancelAsk):
                scope.cancel()
                return
            try:
                tell.send_nowait(order.payload)
            except trio.WouldBlock:
                raise ValueError(f"more than {_MOST_TOLD} messages for question {order.ask} wait") from None

    async def _answer(self, order: Ask) -> None:
        answer = self._kinds.get(order.kind)
        if answer is None or len(self._asks) >= MOST_ASKS:
            reason = f"it answers at most {MOST_ASKS} at once" if answer else f"unknown kind {order.kind!r}"
            await self._report(AskFailed(ask=order.ask, reason=reason))
            return
        scope = trio.CancelScope()
        tell, told = trio.open_memory_channel[Raw](_MOST_TOLD)
        self._asks[order.ask] = scope, tell
        reply: AskAnswer | AskFailed | None = None
        with scope:
            reply = await self._reply(answer, order, told)
        del self._asks[order.ask]
        if reply:
            await self._report(reply)

    async def _reply(
        self, answer: Answer, order: Ask, told: trio.MemoryReceiveChannel[Raw]
    ) -> AskAnswer | AskFailed:
        async def send(item: bytes) -> None:
            await self._report(AskItem(ask=order.ask, item=json_content(item)))

        try:
            call = Call(self._node, send, told, self._pids)
            return AskAnswer(ask=order.ask, answer=json_content(await answer(order.payload, call)))
        except Exception as error:  # noqa: BLE001  (a fault of one answer must not end the agent)
            return AskFailed(ask=order.ask, reason=_reason(error))


def _reason(error: BaseException) -> str:
    error = first_of(error)
    known = isinstance(error, (Unanswerable, ValueError, OSError))
    text = str(error) or type(error).__name__
    return (text if known else f"{type(error).__name__}: {text}")[:_REASON_CHARACTERS]
