"""Answers the question for what happens on an agent's node; see `runner.observe.node`."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import trio
from msgspec import Raw

from runner.cluster.agent_asks import Call

_MODULE: Final = "runner.observe.node.observer"


def load_observer() -> None:
    """Import what observes a node: it takes as long as all else that an agent imports before it joins."""
    import_module(_MODULE)


async def observe(payload: Raw, call: Call) -> bytes:
    """Answer an `ObserveOrder` with a stream of `Sample`, then `ObservedFacts`; a further message ends it."""

    async def stopped() -> None:
        try:
            await call.told.receive()
        except trio.EndOfChannel:
            await trio.sleep_forever()

    await trio.to_thread.run_sync(load_observer)
    from runner.observe.node.observer import observe_node  # noqa: PLC0415  (agents join faster)

    return await observe_node(bytes(payload), call.send, stopped)
