"""A single request that a node sends for the runner, where only nodes reach the system."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct, json

from runner.cluster.client import Cluster
from runner.core.endpoint import Endpoint
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.load.single_request import NoResponse, Received, send_request

REQUEST: Final = "request"
"""The kind of the question to an agent."""
MAX_CONTENT: Final[Bytes] = 8 * BYTES_PER_MIB


class RequestOrder(Struct, frozen=True, kw_only=True):
    """Send one request.

    Attributes:
        endpoint: Where it goes, as the node reaches it.
        content: The whole request.
        head_only: Whether the response has no body.
    """

    endpoint: Endpoint
    content: Annotated[bytes, Meta(max_length=MAX_CONTENT)]
    head_only: bool


class RequestAnswer(Struct, frozen=True, kw_only=True):
    """What became of it.

    Attributes:
        response: None without a complete one.
        fault: Why there is none, as a clause.
    """

    response: Received | None = None
    fault: Annotated[str, Meta(max_length=1000)] = ""


async def answer_request(order: RequestOrder) -> RequestAnswer:
    """Send a request from this machine.

    Raises:
        EnvironmentLacks: The host has no address.
    """
    try:
        response = await send_request(order.endpoint, order.content, head_only=order.head_only)
    except NoResponse as fault:
        return RequestAnswer(fault=str(fault)[:1000])
    return RequestAnswer(response=response)


async def send_from_node(
    cluster: Cluster, node: str, endpoint: Endpoint, content: bytes, *, head_only: bool, within: Seconds
) -> Received:
    """Let a node send a request, and return the response, as `send_request` does.

    Args:
        cluster: Its agents.
        node: Name of the node.
        endpoint: Where it goes, as the node reaches it.
        content: The whole request, of at most 8 MiB.
        head_only: Whether the response has no body, as that to HEAD.
        within: Seconds for the agent's answer.

    Raises:
        NoResponse: There is no complete response of HTTP/1.1.
        AgentFailed: The agent is lost, or does not answer.
    """
    if len(content) > MAX_CONTENT:
        raise NoResponse(f"a node sends at most {MAX_CONTENT // BYTES_PER_MIB} MiB")
    order = RequestOrder(endpoint=endpoint, content=content, head_only=head_only)
    answer = await cluster.ask(node, REQUEST, json.encode(order), within=within)
    decoded = json.decode(answer, type=RequestAnswer)
    if decoded.response is None:
        raise NoResponse(decoded.fault)
    return decoded.response
