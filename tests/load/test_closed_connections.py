"""Only a request that provably met a closed connection is sent again; any other one has failed."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import Counter

import pytest

from runner.core.load_facts import ConnectionCounts
from tests.load.conftest import EVERY_WAY
from tests.load.orders import order
from tests.load.orders import request as request_of
from tests.load.whole_timeline import WholeTimeline
from tests.servers.scripted import in_one_segment, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)


def closes(client):
    client.shutdown(socket.SHUT_RDWR)
    client.close()


def notifies(client):
    """Send TLS's close_notify, then close; without TLS, just close."""
    if isinstance(client, ssl.SSLSocket):
        client.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            client.unwrap()
    closes(client)


def resets(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


class Idle:
    """An exchange with one keep-alive connection, which the server has ended while nothing was read."""

    def __init__(self, way, end, **changes) -> None:
        self._responded, self._ended = threading.Event(), threading.Event()
        self.connections = 0
        self._end = end
        self._server = scripted(self._script, tls=way.server)
        self._way, self._changes = way, changes

    def _script(self, client, _request):
        self.connections += 1
        first = self.connections == 1
        client.sendall(OK)
        if first:
            self._responded.wait(5)
            self._end(client)
            self._ended.set()

    def __enter__(self):
        port = self._server.__enter__()
        self.timeline = WholeTimeline(time.time_ns(), 0, 10.0, lambda _: None)
        self.exchange = self._way.make(order(port, duration=10.0, **self._changes), self.timeline)
        self.request()
        self._responded.set()
        assert self._ended.wait(5)
        time.sleep(0.05)
        return self

    def request(self) -> None:
        self.exchange.send_due(time.time_ns(), 1, True)
        deadline = time.monotonic() + 5
        while self.exchange.in_flight:
            assert time.monotonic() < deadline
            self.exchange.poll(0.01)

    def __exit__(self, *error) -> None:
        self.exchange.close()
        self._server.__exit__(*error)


@pytest.mark.parametrize("way", EVERY_WAY, indirect=True)
@pytest.mark.parametrize("request_bytes", [GET, BIG], ids=["small", "large"])
@pytest.mark.parametrize("end", [closes, notifies, resets])
def test_a_request_on_a_connection_that_was_closed_before_is_sent_again(way, end, request_bytes):
    with Idle(way, end, requests=(request_of(request_bytes),)) as idle:
        idle.request()
        idle.exchange.hand_over()
        second = idle.timeline.current

        assert (idle.exchange.resent, idle.exchange.stale, idle.connections) == (1, 0, 2)
        assert (second.succeeded, second.failures, second.sent) == (2, {}, 2)
        assert (idle.exchange.opened, idle.exchange.closed_by_server) == (2, 1)
        # a kernel that has just begun to timestamp may miss the first reads
        assert idle.exchange.urgent == (idle.exchange.unstamped > 0)


@pytest.mark.parametrize("way", EVERY_WAY, indirect=True)
@pytest.mark.parametrize(("end", "kind"), [(closes, "closed_early"), (resets, "reset")])
def test_what_must_not_be_repeated_fails_on_such_a_connection_and_is_counted(way, end, kind):
    with Idle(way, end, resend=False) as idle:
        idle.request()
        idle.exchange.hand_over()
        second = idle.timeline.current

        assert (idle.exchange.resent, idle.exchange.stale, idle.connections) == (0, 1, 1)
        assert (second.succeeded, second.failures) == (1, {kind: 1})


def every_third(end, received):
    """Return a script that reads every third request of a connection and ends that without a response."""
    requests = Counter()

    def script(client, _request):
        name = client.getpeername()
        requests[name] += 1
        received.append(requests[name])
        if requests[name] == 3:
            end(client)
        else:
            client.sendall(OK)

    return script


def stops_sending(client):
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.5)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (closes, "closed_early"),
        (notifies, "closed_early"),
        (stops_sending, "closed_early"),
        (resets, "reset"),
    ],
)
async def test_a_request_that_the_server_read_is_never_sent_again(run_load, way, end, kind):
    received = []
    few = {"max_in_flight": 4, "when_full": "queue"}  # so that connections are used again
    with scripted(every_third(end, received), tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=60, duration=1, **few)

    lost = sum(number == 3 for number in received)
    assert lost >= 5
    assert len(received) == 60
    assert offered.failures == {kind: lost}
    assert not any("sent again" in note for note in offered.facts.notes)
    assert offered.facts.connections.closed_by_server >= lost


@pytest.mark.parametrize("way", ["compiled", "python"], indirect=True)  # MSG_PEEK is of plain sockets
async def test_a_request_whose_connection_is_closed_unread_is_not_sent_again(run_load, way):
    """The kernel had received the request: only the server knows whether it was handled."""
    requests = Counter()

    def script(client, _request):
        name = client.getpeername()
        requests[name] += 1
        client.sendall(OK)
        if requests[name] == 2:
            client.recv(1, socket.MSG_PEEK)  # until the third request is there, unread
            client.close()

    with scripted(script) as port:
        offered = await run_load(port, rps=50, duration=1)

    assert set(offered.failures) == {"reset"}
    assert not any("sent again" in note for note in offered.facts.notes)


async def test_a_server_that_closes_after_each_response_without_notice_fails_no_request(run_load, way):
    def script(client, _request):
        with in_one_segment(client):  # a request that comes before the close may have been handled
            client.sendall(OK)
            client.shutdown(socket.SHUT_RDWR)

    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=50, duration=1)

    assert offered.failures == {}
    assert offered.facts.connections.opened == 50
    assert offered.facts.connections.closed_by_server >= 40  # the worker may end before it sees the last ones
    assert any("; the server closed " in note for note in offered.facts.notes)


async def test_connections_that_stay_are_counted_once(run_load, way):
    with scripted(lambda client, _: client.sendall(OK), tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=100, warmup=0.2, max_in_flight=1, when_full="queue")

    assert offered.facts.connections == ConnectionCounts(opened=1, closed_by_server=0)
    assert "TCP connections opened, the warm-up included: 1" in offered.facts.notes


async def test_new_connections_are_not_called_closed_by_the_server(run_load, way):
    with scripted(lambda client, _: client.sendall(OK), tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, connection="new")

    assert offered.facts.connections == ConnectionCounts(opened=20, closed_by_server=0)


def closes_within_the_head(client):
    client.sendall(OK[:20])
    closes(client)


def resets_within_the_head(client):
    client.sendall(OK[:20])
    time.sleep(0.05)  # a reset discards what was not read yet
    resets(client)


def closes_within_the_body(client):
    client.sendall(OK[:-2])
    closes(client)


def resets_within_the_body(client):
    client.sendall(OK[:-2])
    time.sleep(0.05)
    resets(client)


def stops_sending_within_the_body(client):
    client.sendall(OK[:-2])
    stops_sending(client)


def goes_silent(client):
    """Leave a connection of which only this side knows: nothing is sent, and nothing is closed."""
    del client
    time.sleep(2.5)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (closes_within_the_head, "closed_early"),
        (closes_within_the_body, "closed_early"),
        (stops_sending_within_the_body, "closed_early"),
        (resets_within_the_head, "reset"),
        (resets_within_the_body, "reset"),
        (goes_silent, "timeout"),
    ],
)
async def test_a_response_that_breaks_off_is_one_failure_of_its_kind(run_load, way, end, kind):
    received = []
    with scripted(every_third(end, received), tls=way.server) as port:
        offered = await run_load(
            port, tls=way.tls, rps=60, duration=1, max_in_flight=20, when_full="queue", timeout=2.0
        )

    lost = sum(number == 3 for number in received)
    assert lost >= 1  # 60 requests do not fit on 20 connections with two each
    assert len(received) == 60
    assert offered.failures == {kind: lost}
    assert not any("sent again" in note for note in offered.facts.notes)
