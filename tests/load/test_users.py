"""The closed model: users that each send one request after another."""

import re
import socket
import struct
import threading
import time
from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from runner.core.mix import order as mix_order
from runner.core.units import NS_PER_S
from runner.load.merge import merged
from runner.load.user_loop import UserLoop
from runner.load.users import _changes
from tests.load.orders import order, request
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
MS = 1_000_000


class Offered:
    """What the users of one worker did."""

    def __init__(self, loop, messages) -> None:
        self.exchange = loop.exchange
        self.seconds = [merged([message], range(len(message.parts))) for message in messages]
        for name in ("scheduled", "sent", "succeeded", "dropped"):
            setattr(self, name, sum(getattr(second, name) for second in self.seconds))
        self.failures = sum((Counter(second.failures) for second in self.seconds), Counter())
        self.check()

    def check(self) -> None:
        """Every request is in one count, and there is no schedule."""
        assert self.sent == self.succeeded + self.failures.total()
        assert self.dropped == 0
        assert self.exchange.in_flight == 0
        for second in self.seconds:
            assert second.scheduled == second.sent
            assert second.dispatch_delay.count == second.response_time.count == second.lateness.count == 0
            if second.parts:
                for name in ("scheduled", "sent", "succeeded"):
                    assert sum(getattr(part, name) for part in second.parts.values()) == getattr(second, name)
        assert sum(second.duration.count for second in self.seconds) == self.succeeded


@pytest.fixture
def offer(way, monkeypatch):
    if way.tls is not None:
        monkeypatch.setattr("runner.load.loop._exchange", way.make)

    def run(port, **changes):
        stage = order(port, **({"rate": 0.0, "users": 5} | changes))
        return offered_by(stage)

    return run


def offered_by(stage):
    messages = []
    loop = UserLoop(stage, lambda second: messages.append(second.message(cpu_s=0, in_flight=0)))
    loop.run(time.monotonic_ns() + 20 * MS, lambda: False)
    loop.close()
    return Offered(loop, messages)


class Server:
    """Counts requests, connections, and how many requests are under way at most."""

    def __init__(self, response=OK, delay_s=0.0) -> None:
        self.response, self.delay_s = response, delay_s
        self.requests = self.under_way = self.most = 0
        self.connections = set()
        self.got, self.times = [], []
        self._lock = threading.Lock()

    def __call__(self, client, got):
        with self._lock:
            self.requests += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.connections.add(client.getpeername()[1])
            self.got.append(got)
            self.times.append(time.monotonic())
        if self.delay_s:
            time.sleep(self.delay_s)
        with self._lock:
            self.under_way -= 1
        client.sendall(self.response)


def test_each_user_sends_on_its_own_connection_as_fast_as_responses_come(offer, way):
    server = Server(delay_s=0.01)
    with scripted(server, tls=way.server) as port:
        offered = offer(port, users=5, duration=0.5)

    assert server.requests == offered.sent == offered.succeeded
    assert server.most == len(server.connections) == offered.exchange.opened == 5
    assert 10 < offered.sent <= 5 * 50 + 5


def test_the_warm_up_is_not_counted(offer, way):
    server = Server(delay_s=0.005)
    with scripted(server, tls=way.server) as port:
        offered = offer(port, users=3, duration=0.3, warmup=0.3)

    assert 0 < offered.sent < server.requests
    assert sum(second.sent for second in offered.seconds if second.index < 0) == 0
    assert offered.exchange.opened == 3


def test_with_new_connections_each_request_has_its_own(offer, way):
    server = Server(CLOSE)
    with scripted(server, tls=way.server, once=True) as port:
        offered = offer(port, users=4, new_connections=True)

    assert server.requests == offered.sent == offered.succeeded == offered.exchange.opened
    assert offered.sent > 4
    assert server.most <= 4


def test_a_user_goes_on_when_the_server_closes_after_a_response(offer, way):
    server = Server(CLOSE)
    with scripted(server, tls=way.server, once=True) as port:
        offered = offer(port, users=4)

    assert server.requests == offered.sent == offered.succeeded == offered.exchange.opened
    assert offered.exchange.closed_by_server == offered.sent > 4


def test_a_request_under_way_at_the_windows_end_is_waited_for(offer, way):
    window_s, requests = 0.9, Counter()
    ended = time.monotonic() + 0.02 + window_s

    def script(client, _got):
        requests[client.getpeername()[1]] += 1
        if requests[client.getpeername()[1]] == 2:
            time.sleep(max(0, ended - time.monotonic()) + 0.2)
        client.sendall(OK)

    with scripted(script, tls=way.server) as port:
        offered = offer(port, users=2, duration=window_s, timeout=60.0)

    assert sorted(requests.values()) == [2, 2]
    assert offered.sent == offered.succeeded == 4
    assert [second.succeeded for second in offered.seconds if second.index == 0] == [2]


def test_a_request_that_takes_too_long_fails_and_its_user_goes_on(offer, way):
    hang = threading.Event()

    def script(client, _got):
        hang.wait(3)

    with scripted(script, tls=way.server) as port:
        offered = offer(port, users=3, duration=0.5, timeout=0.1)
        hang.set()

    assert set(offered.failures) == {"timeout"}
    assert 6 <= offered.sent <= 18


@pytest.mark.usefixtures("either_way")
def test_a_server_that_refuses_is_asked_less_and_less():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    offered = offered_by(order(port, rate=0.0, users=2, duration=1.0))

    assert offered.failures == {"connect_refused": offered.sent}
    assert 2 * 5 <= offered.sent <= 2 * 7  # after 0, 10, 30, 70, 150, 310 and 630 ms


def test_a_response_ends_the_growing_pauses(offer, way):
    """Every second connection is reset; the pause after each is the first one."""
    count = Counter()

    def script(client, _got):
        count["requests"] += 1
        if count["requests"] % 2:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        else:
            client.sendall(OK)

    with scripted(script, tls=way.server) as port:
        offered = offer(port, users=1, duration=1.0)

    assert offered.failures.total() == (count["requests"] + 1) // 2
    assert offered.failures.total() > 15  # doubling would have left 7


def test_failed_checks_do_not_slow_a_user_down(offer, way):
    server = Server(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    with scripted(server, tls=way.server) as port:
        offered = offer(port, users=2)

    assert offered.failures == {"bad_status": server.requests}
    assert offered.exchange.opened == 2
    assert offered.sent > 2


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_request_n_of_user_u_is_the_same_with_any_number_of_workers(offer, way, monkeypatch, workers):
    rendered = []

    def render(number):
        rendered.append(number)
        return b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number

    monkeypatch.setattr(
        "runner.load.part.renderers",
        lambda stage: [render if one.weight == 2 else None for one in stage.requests],
    )
    requests = (request(weight=2), request(b"GET /fixed HTTP/1.1\r\nHost: x\r\n\r\n", weight=1))
    of_connection = defaultdict(list)

    def script(client, got):
        of_connection[client.getpeername()[1]].append(re.match(rb"GET /(\w*)", got)[1])
        time.sleep(0.002)
        client.sendall(OK)

    with scripted(script, tls=way.server) as port:
        for worker in range(workers):
            offer(port, users=5, users_to=4, requests=requests, worker=worker, workers=workers, duration=0.2)

    assert len(of_connection) == 5
    assert len(rendered) == len(set(rendered))
    chosen = mix_order([2, 1])
    turns = [next(chosen) for _ in range(3)]
    users, silent = set(), 0
    for sent in of_connection.values():
        user = next((int(name) % 5 for name in sent if name != b"fixed"), None)
        if user is None:  # on a busy machine it sent a single request, and is not known
            assert sent == [b"fixed"]
            silent += 1
            continue
        users.add(user)
        assert sent == [
            b"fixed" if turns[(n + user) % 3] else b"%d" % (n * 5 + user) for n in range(len(sent))
        ]
    assert users <= {0, 1, 2, 3, 4}
    assert len(users) == 5 - silent > 0


@pytest.mark.parametrize("users", [1, 3, 4, 8])
def test_each_user_sends_every_request_in_its_share_however_slow_one_is(offer, way, users):
    of_connection = defaultdict(Counter)

    def script(client, got):
        name = re.match(rb"GET /(\w*)", got)[1]
        of_connection[client.getpeername()[1]][name] += 1
        time.sleep(0.02 if name == b"slow" else 0.002)
        client.sendall(OK)

    requests = tuple(
        request(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name, weight=weight)
        for name, weight in ((b"slow", 1), (b"quick", 3))
    )
    with scripted(script, tls=way.server) as port:
        offer(port, users=users, requests=requests, duration=0.4)

    assert len(of_connection) == users
    for sent in of_connection.values():
        assert sent.total() > 4
        assert sent[b"slow"] == pytest.approx(sent.total() / 4, abs=1)


@pytest.mark.parametrize(("users", "users_to"), [(2, 10), (10, 2), (1, 2)])
def test_users_join_and_leave_at_their_instants(offer, way, users, users_to):
    began, ended = {}, {}

    def script(client, _got):
        name, now = client.getpeername()[1], time.monotonic()
        began.setdefault(name, now)
        ended[name] = now
        time.sleep(0.002)
        client.sendall(OK)

    with scripted(script, tls=way.server) as port:
        before = time.monotonic()
        offered = offer(port, users=users, users_to=users_to, duration=1.2)

    # A user that connects on a busy machine only after it was to leave, or after the window, never does so.
    missed = max(users, users_to) - offered.exchange.opened
    assert 0 <= missed <= abs(users_to - users) // 4
    changes = sorted(at - before for at in (began if users_to > users else ended).values())
    step = 1.2 / abs(users_to - users)
    expected = [step * (n + 0.5) for n in range(abs(users_to - users))]
    expected = expected[: len(expected) - missed] if users_to > users else expected[missed:]
    found = changes[users:] if users_to > users else changes[: len(expected)]
    for at, planned in zip(found, expected, strict=True):
        # a busy machine does all of it later; a stall hides the last requests of a user that leaves
        assert at >= planned - (0 if users_to > users else 0.3)
        assert at <= planned + 0.5


def test_a_ramp_has_half_of_its_users_on_average():
    stage = order(1, rate=0.0, users=3, users_to=13, duration=10.0, warmup=1.0)
    changes = [*_changes(stage), (10 * NS_PER_S, 0)]
    area = sum((later - max(at, 0)) * count for (at, count), (later, _) in pairwise(changes))
    assert area / NS_PER_S == pytest.approx(8 * 10)
