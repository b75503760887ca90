"""A single request that a node sends for the runner."""

import pytest
from msgspec import json

from runner.cluster.errors import AgentFailed
from runner.core.endpoint import Endpoint
from runner.load.node_request import MAX_CONTENT, REQUEST, send_from_node
from runner.load.single_request import NoResponse
from tests.servers.scripted import scripted

HEAD = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n"
CONTENT = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\x00\xffhi"
WITHIN_S = 30


async def test_a_node_sends_a_request_byte_for_byte_and_returns_the_whole_response(cluster):
    requests = []

    def script(client, request):
        requests.append(request)
        client.sendall(HEAD + b"\x00\xffabc")

    with scripted(script) as port:
        endpoint = Endpoint("127.0.0.1", port)
        received = await send_from_node(
            cluster, "node-1", endpoint, CONTENT, head_only=False, within=WITHIN_S
        )
        to_head = await send_from_node(cluster, "node-2", endpoint, CONTENT, head_only=True, within=WITHIN_S)

    assert requests == [CONTENT, CONTENT]
    assert (received.status, received.body) == (201, b"\x00\xffabc")
    assert received.head.startswith(b"HTTP/1.1 201")
    assert to_head.body == b""


async def test_the_node_says_why_there_is_no_response(cluster):
    def script(client, _request):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        client.close()

    with scripted(script) as port, pytest.raises(NoResponse, match="closed before the response was complete"):
        await send_from_node(
            cluster, "node-1", Endpoint("127.0.0.1", port), CONTENT, head_only=False, within=WITHIN_S
        )


async def test_a_name_without_an_address_is_a_fault_of_the_node(cluster):
    nowhere = Endpoint("no-such-host.invalid", 80)

    with pytest.raises(AgentFailed, match=r"the host name 'no-such-host\.invalid' has no address"):
        await send_from_node(cluster, "node-1", nowhere, CONTENT, head_only=False, within=WITHIN_S)


async def test_a_request_that_is_too_large_for_a_message_is_not_sent(cluster):
    with pytest.raises(NoResponse, match="a node sends at most 8 MiB"):
        await send_from_node(
            cluster, "node-1", Endpoint("a", 1), bytes(MAX_CONTENT + 1), head_only=False, within=WITHIN_S
        )


async def test_an_order_that_cannot_be_read_does_not_end_the_agent(cluster):
    with pytest.raises(AgentFailed, match="node-1"):
        await cluster.ask("node-1", REQUEST, json.encode({"endpoint": 1}), within=WITHIN_S)

    assert cluster.lost == {}
