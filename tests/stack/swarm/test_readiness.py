"""Whether parts on nodes are ready, as real agents see them."""

import re
import socket
from contextlib import closing

import pytest

from runner.core.errors import StackFailed
from runner.stack.swarm.readiness import all_ready, wait_until_ready, witness
from tests.servers.scripted import scripted
from tests.stack.swarm.placed import NODES, monitored, part_task

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
WITHIN_S = 30


def answers(*responses: bytes):
    left = list(responses)

    def script(client, _request):
        client.sendall(left.pop(0) if len(left) > 1 else left[0])
        client.close()

    return script


@pytest.fixture
async def monitor():
    async with monitored() as monitor:
        yield monitor


@pytest.fixture
def cluster(monitor):
    return monitor.cluster


async def test_a_part_is_ready_when_it_returns_2xx(cluster, monitor):
    starting = b"HTTP/1.1 503 Starting\r\nContent-Length: 0\r\n\r\n"
    with scripted(answers(starting, starting, OK)) as port:
        await wait_until_ready(monitor, cluster, part_task(port), "/healthz", within=WITHIN_S)


async def test_without_a_path_a_connection_suffices(cluster, monitor):
    with scripted(answers(b"+PONG")) as port:
        await wait_until_ready(monitor, cluster, part_task(0), None, within=WITHIN_S, port=port)


async def test_the_last_status_is_named(cluster, monitor):
    with scripted(answers(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")) as port:
        expected = re.escape(
            f"the app on node-1 was not ready within 1 s: GET http://127.0.0.1:{port}/healthz never returned "
            "2xx, the last status was 404"
        )
        with pytest.raises(StackFailed, match=expected) as failed:
            await wait_until_ready(monitor, cluster, part_task(port), "/healthz", within=1)

    assert failed.value.hint == "set `health` to a path that returns 2xx"


async def test_a_refused_connection_is_named_with_the_node_that_tried(cluster, monitor):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        port = taken.getsockname()[1]
        with pytest.raises(StackFailed, match="seen from node-2: Connection refused") as failed:
            await wait_until_ready(monitor, cluster, part_task(port), "/healthz", within=1)

    assert failed.value.hint == "it must listen on this port, on all addresses (0.0.0.0)"


async def test_another_node_than_its_own_looks_at_a_part(cluster):
    assert [witness(cluster, part_task(1, node)) for node in NODES] == ["node-2", "node-1"]


async def test_a_task_that_is_gone_ends_the_wait_for_all(cluster, monitor):
    monitor.tasks.append(part_task(1))  # the placer does not know it

    async def wait():
        await wait_until_ready(monitor, cluster, part_task(1), "/healthz", within=WITHIN_S)

    with pytest.raises(StackFailed, match="the app on node-1 was removed from the swarm before it was ready"):
        await all_ready(monitor, [wait])
