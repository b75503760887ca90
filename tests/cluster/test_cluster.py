"""What the runner can do with agents."""

import os
import sys

import pytest

from runner.cluster.errors import AgentFailed
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def test_agents_tell_what_their_machines_are(cluster):
    assert set(cluster.agents) == {"node-1", "node-2"}
    info = cluster.agents["node-1"]
    assert info.hostname == os.uname().nodename
    assert info.kernel == os.uname().release
    assert info.python == ".".join(map(str, sys.version_info[:3]))
    assert 0 < info.cores <= os.cpu_count()
    assert "runner.load.worker" in info.modules
    assert "probe" in info.kinds
    assert cluster.lost == {}


async def test_a_node_sends_a_get_request_and_returns_the_status(cluster):
    heads = []

    def serve(client, request):
        heads.append(request)
        client.sendall(OK)

    with scripted(serve) as port:
        result = await cluster.probe("node-1", "127.0.0.1", port, "/health?a=1", within=10)

    assert (result.status, result.error, result.address) == (200, "", "127.0.0.1")
    assert 0 < result.connect_s <= result.seconds < 10


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"", "the connection ended without a response"), (b"SSH-2.0-x\r\n", "the response is no HTTP")],
)
async def test_a_probe_says_what_is_wrong_with_a_response(cluster, answer, error):
    def serve(client, _):
        client.sendall(answer)
        client.close()

    with scripted(serve) as port:
        result = await cluster.probe("node-2", "127.0.0.1", port, "/", within=10)

    assert (result.status, result.error) == (None, error)


async def test_a_probe_of_a_closed_port_is_refused(cluster):
    result = await cluster.probe("node-1", "127.0.0.1", 1, within=10)

    assert (result.status, result.connect_s, result.error) == (None, None, "Connection refused")


async def test_an_unknown_kind_of_question_is_refused(cluster):
    with pytest.raises(AgentFailed, match="node-1: unknown kind 'nonsense'"):
        await cluster.ask("node-1", "nonsense", b"{}", within=30)


async def test_a_question_to_a_node_without_an_agent_fails(cluster):
    with pytest.raises(AgentFailed, match="node-7: there is no agent"):
        await cluster.ask("node-7", "probe", b"{}", within=30)


async def test_a_wrong_question_is_told_what_is_wrong(cluster):
    with pytest.raises(AgentFailed, match="node-1: Expected `object`, got `array`"):
        await cluster.ask("node-1", "probe", b"[]", within=30)
