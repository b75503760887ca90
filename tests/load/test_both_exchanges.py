"""The exchange in Python and its compiled twin count the same, whatever a server does."""

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.load.merge import sum_of
from tests.load.orders import order, request
from tests.load.whole_timeline import WholeTimeline
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HOLD = "hold"


def sends(*pieces: bytes, pause: float = 0.0):
    def behave(client) -> None:
        for piece in pieces:
            time.sleep(pause)
            client.sendall(piece)

    return behave


def then_closes(*pieces: bytes):
    def behave(client) -> None:
        sends(*pieces)(client)
        client.shutdown(socket.SHUT_RDWR)
        client.close()

    return behave


def resets(client) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def answer(*headers: bytes, body: bytes = b'{"token": "a b"}', status: bytes = b"200 OK"):
    length = b"Content-Length: %d" % len(body)
    return sends(b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", body]))


BEHAVIOURS = {
    "whole": sends(OK),
    "whole with another head": sends(OK.replace(b"OK", b"Fine")),
    "without a body": sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "split": sends(OK[:20], OK[20:], pause=0.003),
    "split in the body": sends(OK[:-2], OK[-2:], pause=0.003),
    "interim": sends(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK),
    "interim alone": sends(b"HTTP/1.1 100 Continue\r\n\r\n", OK, pause=0.003),
    "chunked": sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "closed early": then_closes(OK[:-2]),
    "closed without a response": then_closes(),
    "closed behind a response": then_closes(OK),
    "ended by the close": then_closes(b"HTTP/1.1 200 OK\r\n\r\nhello"),
    "reset": resets,
    "wrong status": sends(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"),
    "wrong status, then closed": then_closes(
        b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    ),
    "slow": sends(OK, pause=0.02),
    "no HTTP": sends(b"220 mail.example ESMTP\r\n\r\n"),
    "two responses": sends(OK + OK),
    "garbage behind it": sends(OK + b"garbage"),
    "another response later": sends(OK, OK, pause=0.003),
    "interim alone later": sends(OK, b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.003),
    "asks to close": then_closes(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
    "token": answer(b"Server: x", b"Content-Type: application/json"),
    "other token": answer(body=b'{"token": ["longer", 1]}'),
    "damaged token": answer(body=b'{"token": '),
    "cookie": answer(b"Set-Cookie: sid=1; Path=/"),
    "cookies": answer(b"set-cookie: a=1; Path=/s", b"SET-COOKIE: b=2; Max-Age=100"),
    "cookie that has expired": answer(b"Set-Cookie: sid=0; Max-Age=0"),
    "not found": answer(status=b"404 Not Found"),
    "not modified": answer(status=b"304 Not Modified"),
    "reset content": answer(status=b"205 Reset Content", body=b""),
    "no reason": answer(status=b"200"),
    "keeps alive": answer(b"Connection: Keep-Alive", b"Keep-Alive: timeout=5"),
    "closes": answer(b"connection: close"),
    "closes by a list": answer(b"Connection: keep-alive, close"),
    "closes for a proxy": answer(b"Proxy-Connection: close"),
    "upgrades": answer(b"Connection: keep-alive", b"Upgrade: h2c"),
    "two lengths": answer(b"Content-Length: 16"),
    "two different lengths": answer(b"Content-Length: 3"),
    "chunked with a length": answer(b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
    "empty value": answer(b"X-Empty:", b"X-Blank: "),
    "odd space": answer(b"X-Odd:  two", b"X-Tab:\ttab"),
    "folded": answer(b"X-Folded: one", b" two"),
    "no space": answer(b"X-No:space"),
    "space before the colon": answer(b"Set-Cookie : late=1"),
    "odd name": answer(b"X!#$: 1"),
    "Latin": answer("X-City: Köln".encode("latin-1")),
    "old": sends(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
    "long head": answer(b"X-Long: " + b"x" * 9000),
    "length with a sign": sends(b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}"),
    "line feeds alone": sends(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
}


class Server:
    """Behaves towards each request by its number, which is in its path or, without one, its place."""

    def __init__(self, behaviours) -> None:
        self.behaviours = behaviours
        self.arrived = self.handled = self.held = 0
        self.release = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, client, got) -> None:
        with self._lock:
            number = int(match[1]) if (match := re.match(rb"\w+ /(\d+)", got)) else self.arrived
            self.arrived += 1
        behaviour = self.behaviours.get(number, HOLD)
        if behaviour == HOLD:
            self.held += 1
            self.release.wait(120)
            return
        try:
            BEHAVIOURS[behaviour](client)
        finally:
            with self._lock:
                self.handled += 1


def render(number: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number


REQUESTS = {
    "fixed": (request(),),
    "must not be repeated": (request(resend=False),),
    "rendered": (request(weight=2),),
    "mix": (request(weight=2), request(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", weight=1, head=True)),
    "mix without HEAD": (request(weight=3), request(b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", weight=1)),
    "rendered mix": (
        request(weight=2),
        request(b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n", weight=2, resend=False),
    ),
}


@contextlib.contextmanager
def exchange_of(kind, port, requests, **changes):
    timeline = WholeTimeline(time.time_ns(), 0, 60.0, lambda _: None, len(REQUESTS[requests]))
    stage = order(port, requests=REQUESTS[requests], duration=60.0, timeout=300.0, **changes)
    with contextlib.closing(kind(stage, timeline)) as exchange:
        yield exchange, timeline


def until(condition, step) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        step()


def counts(exchange, timeline, server):
    """Everything that an exchange counts, without times."""
    exchange.hand_over()
    names = (
        "opened",
        "closed_by_server",
        "unasked",
        "resent",
        "stale",
        "faults",
        "in_flight",
        "closed_first",
    )
    total = {name: getattr(exchange, name) for name in names}
    total["arrived at the server"] = server.arrived
    for index, part in enumerate(timeline.current.parts):
        for name in (
            "scheduled",
            "sent",
            "succeeded",
            "completed",
            "dropped",
            "failures",
            "statuses",
            "samples",
        ):
            total[index, name] = getattr(part, name)
        for name in ("response_time", "connect", "dispatch_delay"):
            total[index, name] = sum_of([getattr(part, name).to_wire()]).count
        durations = [
            sum_of([latency.to_wire()]).count for latency in (part.whole, part.duration, part.first_byte)
        ]
        total[index, "durations"] = durations[0] + durations[1]
        total[index, "first bytes"] = durations[0] + durations[2]
        total[index, "backlog"] = exchange.parts[index].backlog.sums[0]
    total["of all"] = timeline.current.scheduled
    return total


def offer_open(kind, behaviours, requests):
    server = Server(dict(enumerate(behaviours)))
    with scripted(server) as port, exchange_of(kind, port, requests) as (exchange, timeline):
        for count in range(1, len(behaviours) + 1):
            exchange.send_due(time.time_ns(), 1, True)
            until(
                lambda count=count: exchange.in_flight == 0 and server.handled >= count,
                lambda: exchange.poll(0.005),
            )
            exchange.poll(0)  # what the server did behind its response
        exchange.drop_due(2, True)
        return counts(exchange, timeline, server)


def offer_closed(kind, behaviours, requests, users):
    server = Server(dict(enumerate(behaviours)))
    with (
        scripted(server) as port,
        exchange_of(kind, port, requests, rate=0.0, users=users) as (exchange, timeline),
    ):

        def step():
            now = time.time_ns()
            exchange.until_ns = now + 10**9
            exchange.resume(exchange.users.follow(now))
            exchange.poll(0.002)

        until(lambda: server.held == exchange.in_flight == users, step)
        total = counts(exchange, timeline, server)
        del total["closed_first"]  # whether the server or the next connection was faster
        if users > 1:
            total |= {key: kinds(samples) for key, samples in total.items() if key[1] == "samples"}
        total["sent by user"] = list(exchange.users.sent) if requests != "fixed" else []
        server.release.set()
        return total


def kinds(samples):
    """What is alike whichever user is served first: a sample is the first response of its kind."""
    return sorted((one.failure, one.status if one.failure == "bad_status" else 0) for one in samples)


@pytest.fixture(scope="module")
def compiled():
    kind = plain_exchange()
    if kind is Exchange:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("runner.load.fastpath was not built")
    return kind


@pytest.fixture(autouse=True)
def renders(monkeypatch):
    """Requests of weight 2 are rendered, unless they are the only fixed one."""
    monkeypatch.setattr(
        "runner.load.part.renderers",
        lambda stage: [
            render if one.weight == 2 and stage.requests != REQUESTS["mix"] else None
            for one in stage.requests
        ],
    )


WITHOUT_STRAY_BYTES = ["fixed", "mix without HEAD", "rendered", "rendered mix"]
"""A body behind a response to HEAD may arrive after a user's next request was sent, or before."""

several = st.lists(st.sampled_from(sorted(BEHAVIOURS)), min_size=1, max_size=8)
UNTIMELY = {"closed behind a response", *(name for name in BEHAVIOURS if name.endswith(" later"))}
"""What happens behind a response may come before or after the user's next request."""
several_in_turn = several.filter(UNTIMELY.isdisjoint)
examples = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@examples
@given(behaviours=several, requests=st.sampled_from(sorted(REQUESTS)))
def test_in_the_open_model(compiled, behaviours, requests):
    expected = offer_open(Exchange, behaviours, requests)
    assert offer_open(compiled, behaviours, requests) == expected
    sent = sum(expected[key] for key in expected if key[1] == "sent")
    assert sent == len(behaviours)


@examples
@given(behaviours=several_in_turn, requests=st.sampled_from(WITHOUT_STRAY_BYTES), users=st.integers(1, 3))
def test_in_the_closed_model(compiled, behaviours, requests, users):
    if not requests.startswith("rendered"):
        users = 1  # which behaviour a request meets depends on its place
    expected = offer_closed(Exchange, behaviours, requests, users)
    assert offer_closed(compiled, behaviours, requests, users) == expected
    failed = sum((Counter(expected[key]) for key in expected if key[1] == "failures"), Counter())
    sent, succeeded = (
        sum(expected[key] for key in expected if key[1] == name) for name in ("sent", "succeeded")
    )
    assert sent == succeeded + failed.total() + users


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_the_same_response_again_and_again(compiled, behaviour):
    expected = offer_open(Exchange, [behaviour] * 3, "fixed")
    assert offer_open(compiled, [behaviour] * 3, "fixed") == expected
