"""Bytes that no request asked for are counted as such, and are no request's response."""

import contextlib
import ssl
import threading
import time

import pytest

from runner.load.connection import STAMP_SPACE, keep_kernel_stamping
from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.scenario_loop import scenario_exchange
from runner.load.scenario_order import PauseStep, RepeatStep, ScenarioOrder, WorkerScenario
from runner.load.scenario_tls import ScenarioTlsExchange
from tests.load.conftest import EVERY_WAY
from tests.load.orders import order
from tests.load.scenario_stage import Steps
from tests.load.whole_timeline import WholeTimeline
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
GONE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
LONG_NS = 10**15
REASON = "a response that had arrived before its request was sent"


@pytest.fixture(scope="module", autouse=True)
def kernel_stamps():
    """The kernel timestamps what arrives; it needs a moment to begin."""
    with keep_kernel_stamping() as sock:
        sock.bind(("127.0.0.1", 0))
        deadline = time.monotonic() + 20
        ancillary = ()
        while not ancillary:
            assert time.monotonic() < deadline
            sock.sendto(b"x", sock.getsockname())
            _, ancillary, _, _ = sock.recvmsg(1, STAMP_SPACE)
        yield


class Server:
    """Sends more bytes after its first response on request, and nothing else on that connection."""

    def __init__(self, extra: bytes, *, closes: bool) -> None:
        self._extra, self._closes = extra, closes
        self.tell, self.sent, self.over = threading.Event(), threading.Event(), threading.Event()
        self.requests = 0

    def __call__(self, client, _request) -> None:
        self.requests += 1
        client.sendall(OK)
        if self.requests == 1:
            self.tell.wait(20)
            client.sendall(self._extra)
            if self._closes:
                if isinstance(client, ssl.SSLSocket):
                    client.setblocking(False)
                    with contextlib.suppress(ssl.SSLWantReadError):
                        client.unwrap()
                client.shutdown(2)
            self.sent.set()
            self.over.wait(20)


def poll_until_idle(exchange) -> None:
    deadline = time.monotonic() + 20
    while exchange.requests_in_flight:
        assert time.monotonic() < deadline
        exchange.poll(0.01)


@contextlib.contextmanager
def plain_requests(way, port):
    """Two requests on one connection; the second one is sent by what is yielded."""
    timeline = WholeTimeline(time.time_ns(), 0, 10.0, lambda _: None)
    with contextlib.closing(way.make(order(port, duration=10.0), timeline)) as exchange:
        exchange.send_due(time.time_ns(), 1, True)
        poll_until_idle(exchange)
        yield exchange, timeline, lambda: exchange.send_due(time.time_ns(), 1, True)


@contextlib.contextmanager
def requests_of_a_user(way, port):
    """The same, of a user of a scenario who waits between them."""
    steps = Steps()
    visit = WorkerScenario("visit", 1.0, (RepeatStep(2, (steps.send("/"), PauseStep(1, LONG_NS, LONG_NS))),))
    described = ScenarioOrder((visit,), "https" if way.tls else "http", "127.0.0.1", port)
    stage = order(port, requests=tuple(steps.requests), scenarios=described, duration=10.0)
    timeline = WholeTimeline(time.time_ns(), 0, 10.0, lambda _: None, 1, 1)
    more = (way.tls,) if way.tls else ()
    kind = ScenarioTlsExchange if way.tls else scenario_exchange()
    assert way.tls or (kind is ScenarioExchange) == (plain_exchange() is Exchange)
    with contextlib.closing(kind(stage, timeline, *more)) as exchange:
        exchange.send_due(time.time_ns(), 1, True)
        poll_until_idle(exchange)
        yield exchange, timeline, lambda: exchange.follow(time.time_ns() + 2 * LONG_NS)


def met(way, requests, extra, *, closes=False, idle=False):
    """Send two requests, with something from the server in between; returns what was counted."""
    server = Server(extra, closes=closes)
    with scripted(server, tls=way.server) as port, requests(way, port) as (exchange, timeline, send_second):
        server.tell.set()
        assert server.sent.wait(20)
        time.sleep(0.01)
        if idle:
            exchange.poll(5)
        send_second()
        poll_until_idle(exchange)
        server.over.set()
        exchange.hand_over()
        (part,) = timeline.current.parts
        counts = (exchange.unasked, exchange.closed_by_server, exchange.resent, exchange.opened)
        assert part.sent == 2 == part.succeeded + sum(part.failures.values())
        return counts, dict(part.failures), dict(exchange.faults), part.samples


both = pytest.mark.parametrize("requests", [plain_requests, requests_of_a_user])


@pytest.mark.parametrize("way", EVERY_WAY, indirect=True)
@both
@pytest.mark.parametrize("extra", [OK, OK[:20], b"garbage"], ids=["whole", "part", "garbage"])
def test_what_came_before_a_request_was_sent_is_not_its_response(way, requests, extra):
    counts, failures, faults, samples = met(way, requests, extra)

    assert (counts, failures, faults) == ((1, 0, 0, 1), {"protocol": 1}, {REASON: 1})
    (sample,) = samples
    assert (sample.failure, sample.failed_checks) == ("protocol", REASON)
    assert sample.body.encode() == extra


@pytest.mark.parametrize("way", EVERY_WAY, indirect=True)
@both
def test_what_comes_while_no_request_is_under_way_costs_the_connection(way, requests):
    assert met(way, requests, OK, idle=True)[:3] == ((1, 0, 0, 2), {}, {})


@pytest.mark.parametrize("way", EVERY_WAY, indirect=True)
@both
@pytest.mark.parametrize("idle", [False, True], ids=["met", "idle"])
def test_a_server_that_says_why_it_closes_has_closed(way, requests, idle):
    counts, failures, faults, _ = met(way, requests, GONE, closes=True, idle=idle)

    assert (counts, failures, faults) == ((0, 1, 0 if idle else 1, 2), {}, {})
