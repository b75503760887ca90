"""Answers questions about a single response, such as that to the request of a hook."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from runner.cluster.agent_asks import Call, Unanswerable
from runner.core.errors import EnvironmentLacks


async def request(payload: Raw, _call: Call) -> bytes:
    """Answer a `RequestOrder` with a `RequestAnswer`."""
    from runner.load.node_request import RequestOrder, answer_request  # noqa: PLC0415  (agents start faster)

    order = msgspec.json.decode(payload, type=RequestOrder)
    try:
        return msgspec.json.encode(await answer_request(order))
    except EnvironmentLacks as error:
        raise Unanswerable(error.message) from None
