"""Answers questions about a single response, such as that to the request of a hook."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import msgspec
import trio
from msgspec import Raw

from runner.cluster.agent_asks import Call, Unanswerable
from runner.core.errors import EnvironmentLacks

_MODULE: Final = "runner.load.node_request"


async def request(payload: Raw, _call: Call) -> bytes:
    """Answer a `RequestOrder` with a `RequestAnswer`."""
    await trio.to_thread.run_sync(import_module, _MODULE)  # takes a while, in which others are answered
    from runner.load.node_request import RequestOrder, answer_request  # noqa: PLC0415  (agents start faster)

    order = msgspec.json.decode(payload, type=RequestOrder)
    try:
        return msgspec.json.encode(await answer_request(order))
    except EnvironmentLacks as error:
        raise Unanswerable(error.message) from None
