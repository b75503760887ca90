"""Load on a host with several addresses, each of which gets its share."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.experiment.model import Load, Stage
from runner.load.addresses import resolve
from runner.load.builtin import offer
from runner.load.engine import LoadOrder

pytestmark = pytest.mark.usefixtures("preloaded_workers")
ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1")


class Counting(ThreadingHTTPServer):
    """Counts requests and their connections."""

    def __init__(self, host, port):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.paths, self.peers = [], set()
        super().__init__((host, port), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.paths.append(self.path)
        self.server.peers.add(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(addresses):
    """Serve on all addresses, at one port; yields the servers."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Counting(addresses[0], 0))
        port = first.server_address[1]
        servers = [first, *(stack.enter_context(Counting(address, port)) for address in addresses[1:])]
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield servers


async def offered(servers, addresses, *, rps=60, **load):
    endpoint = Endpoint("app.test", servers[0].server_address[1], addresses=tuple(addresses))
    order = LoadOrder(endpoint, Load(timeout="30s", **load), Stage(rps=rps, duration="1s"))
    return await offer(order, on_spawn=lambda _: None, on_second=lambda _: None)


@pytest.mark.parametrize(
    ("connection", "addresses"),
    [("keep-alive", ADDRESSES[:2]), ("new", ADDRESSES[:2]), ("keep-alive", ADDRESSES)],
    ids=["two", "two-new", "with IPv6"],
)
async def test_every_address_gets_the_same_share_of_the_requests(connection, addresses):
    with serving(addresses) as servers:
        facts = await offered(servers, addresses, connection=connection)

    assert [len(server.paths) for server in servers] == [60 // len(addresses)] * len(addresses)
    assert facts.workers == len(addresses)
    workers = f"1 of {len(addresses)} workers for each"
    assert f"requests went to {', '.join(addresses)} in turn, {workers}" in facts.notes


@pytest.mark.parametrize(("workers", "started"), [(1, 2), (2, 2), (3, 4), (4, 4)])
async def test_there_are_equally_many_workers_for_each_address(workers, started):
    addresses = ADDRESSES[:2]
    with serving(addresses) as servers:
        facts = await offered(servers, addresses, workers=workers)

    assert facts.workers == started
    assert [len(server.paths) for server in servers] == [30, 30]


async def test_fewer_requests_in_flight_than_addresses_are_refused():
    with serving(ADDRESSES[:2]) as servers:
        with pytest.raises(EnvironmentLacks, match=r"load\.max_in_flight is 1, but app\.test has 2 "):
            await offered(servers, ADDRESSES[:2], max_in_flight=1)

        assert (await offered(servers, ADDRESSES[:2], max_in_flight=3, workers=4)).workers == 2


def test_addresses_that_are_given_are_used_and_nothing_is_resolved():
    assert resolve(Endpoint("no-such-host.invalid", 80, addresses=ADDRESSES)) == (
        (socket.AF_INET, ("127.0.0.1", 80)),
        (socket.AF_INET, ("127.0.0.2", 80)),
        (socket.AF_INET6, ("::1", 80, 0, 0)),
    )
    assert resolve(Endpoint("no-such-host.invalid", 80, address="127.0.0.2")) == (
        (socket.AF_INET, ("127.0.0.2", 80)),
    )
