"""Answers the question for what happens on an agent's node; see `runner.observe.node`."""

from __future__ import annotations

import trio
from msgspec import Raw

from runner.cluster.agent_asks import Call
from runner.observe.node.observer import observe_node


async def observe(payload: Raw, call: Call) -> bytes:
    """Answer an `ObserveOrder` with a stream of `Sample`, then `ObservedFacts`; a further message ends it."""

    async def stopped() -> None:
        try:
            await call.told.receive()
        except trio.EndOfChannel:
            await trio.sleep_forever()

    return await observe_node(bytes(payload), call.send, stopped)
