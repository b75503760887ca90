"""The loop, with schedules of the tests."""

import contextlib
import socket
import struct
import threading
import time

import pytest

from runner.load.loop import Loop, plain_exchange
from runner.load.merge import merged
from runner.load.timeline import Timeline
from tests.load.orders import order
from tests.load.orders import request as request_of
from tests.servers.scripted import scripted

pytestmark = pytest.mark.usefixtures("either_way")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
MS = 1_000_000


def offer(arrivals_ns, port, **changes):
    """Run the loop, every arrival alone; returns the sums of its counts, and the loop."""
    seconds = []
    stage = order(port, duration=(max(arrivals_ns) + MS) / 1e9, **changes)
    loop = Loop(stage, iter((at, 1) for at in arrivals_ns), seconds.append)
    loop.run(time.monotonic_ns() + 20 * MS, lambda: False)
    loop.close()
    names = ("scheduled", "sent", "succeeded", "dropped")
    return {name: sum(getattr(second, name) for second in seconds) for name in names}, loop


def test_an_answer_that_has_arrived_unread_frees_its_slot_for_what_is_due():
    pairs = [at for k in range(10) for at in (40 * k * MS, (40 * k + 1) * MS)]
    with scripted(lambda client, _: client.sendall(OK)) as port:
        tries = (offer(pairs, port, max_in_flight=1)[0] for _ in range(20))

        # The loop sleeps through the millisecond within a pair without reading. Reading only afterwards
        # would drop every second request of each pair; a busy machine may really be late for all of a try.
        assert any(counts["scheduled"] == 20 and counts["dropped"] < 10 for counts in tries)


def test_an_overdue_bunch_is_sent_at_once_and_completely():
    with scripted(lambda client, _: client.sendall(OK)) as port:
        counts, loop = offer([0] * 200, port, max_in_flight=500)

    assert counts == {"scheduled": 200, "sent": 200, "succeeded": 200, "dropped": 0}
    assert loop.exchange.in_flight == 0


def test_answers_are_stamped_by_the_kernel():
    with scripted(lambda client, _: client.sendall(OK)) as port:
        _, loop = offer([k * MS for k in range(20)], port)

    assert loop.exchange.unstamped == 0


def test_without_kernel_timestamps_the_loop_takes_its_own_and_counts_them(monkeypatch):
    monkeypatch.setattr("runner.load.exchange.keep_kernel_stamping", lambda: None)
    with scripted(lambda client, _: client.sendall(OK)) as port:
        counts, loop = offer([k * MS for k in range(20)], port)

    assert counts["succeeded"] == 20
    assert loop.exchange.unstamped >= 20
    assert loop.exchange.urgent == 1


def test_nothing_is_urgent_after_the_stage():
    body = b"x" * 1_000_000
    request = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with scripted(lambda client, _: client.sendall(OK)) as port:
        counts, loop = offer([0, 0, 0], port, requests=(request_of(request),))

    assert counts["succeeded"] == 3
    assert loop.exchange.urgent == 0


def test_a_loop_that_lags_hopelessly_drops_what_is_due_by_then(monkeypatch):
    monkeypatch.setattr("runner.load.loop.HOPELESS_NS", 20 * MS)
    monkeypatch.setattr(plain_exchange(), "send_due", slowly(plain_exchange().send_due))
    with scripted(lambda client, _: client.sendall(OK)) as port:
        # a busy machine may start the loop only after the window
        tries = (offer([0] * 2000, port, max_in_flight=5000) for _ in range(100))
        counts, loop = next((counts, loop) for counts, loop in tries if counts["sent"])

    assert counts["scheduled"] == 2000
    assert counts["sent"] == counts["succeeded"] == 256
    assert counts["dropped"] == loop.too_late == 2000 - 256


def test_what_is_due_after_the_loop_gave_up_is_sent(monkeypatch):
    monkeypatch.setattr("runner.load.loop.HOPELESS_NS", 100 * MS)
    late = [k * MS for k in range(100)]
    with scripted(lambda client, _: client.sendall(OK)) as port:
        seconds = []
        loop = Loop(order(port, duration=0.6), iter((at, 1) for at in (*late, 550 * MS)), seconds.append)
        loop.run(time.monotonic_ns() - 300 * MS, lambda: False)
        loop.close()

    assert loop.too_late == sum(second.dropped for second in seconds) == 100
    assert sum(second.succeeded for second in seconds) == 1
    assert loop.longest_stall_ns >= 300 * MS


def test_a_step_of_the_wall_clock_is_no_pause(monkeypatch):
    loop = Loop(order(1), iter([(0, 1)]), lambda _: None)
    loop._begin(time.monotonic_ns())
    true_offset = loop._offset
    for step_ns in (10_000 * MS, -10_000 * MS):
        monkeypatch.setattr("runner.load.loop._clock_offset", lambda step_ns=step_ns: true_offset + step_ns)
        loop._look(time.time_ns() + step_ns)
    loop.close()

    assert loop.longest_stall_ns < 10_000 * MS
    assert loop.clock_shift_ns == 30_000 * MS


def test_requests_that_found_no_free_slot_are_not_counted_as_too_late():
    with scripted(lambda client, _: None) as port:
        counts, loop = offer([0] * 20, port, max_in_flight=5, timeout=0.1)

    assert (counts["sent"], counts["dropped"]) == (5, 15)
    assert loop.too_late == 0


def test_a_generator_that_is_late_itself_is_recorded_so_also_with_a_queue(monkeypatch):
    monkeypatch.setattr(plain_exchange(), "send_due", slowly(plain_exchange().send_due))
    seconds = []
    with scripted(lambda client, _: client.sendall(OK)) as port:
        stage = order(port, duration=0.1, when_full="queue", max_in_flight=500)
        loop = Loop(stage, iter((0, 1) for _ in range(200)), seconds.append)
        loop.run(time.monotonic_ns() + 20 * MS, lambda: False)
        loop.close()

    reported = merged([second.message(cpu_s=0, in_flight=0) for second in seconds])
    assert reported.lateness.count == 200
    assert reported.lateness.max_ms >= 19


@pytest.mark.parametrize("quantum_ns", [0, 1000, 2000, 37_000, 250_000, 1_000_000])
def test_a_stage_that_begins_on_any_microsecond_is_offered_completely(quantum_ns):
    with scripted(lambda client, _: client.sendall(OK)) as port:
        stage = order(port, rate=1000.0, duration=0.05, quantum_ns=quantum_ns)
        for _ in range(3):
            seconds = []
            loop = Loop(stage, ((at * MS, 1) for at in range(50)), seconds.append)
            loop.run((time.monotonic_ns() // MS + 20) * MS, lambda: False)
            loop.close()
            assert sum(second.succeeded for second in seconds) == 50


def test_a_request_that_met_a_closed_connection_is_sent_again_at_once():
    answered = threading.Event()

    def answers_and_resets(client, _):
        client.sendall(OK)
        answered.wait(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    with scripted(answers_and_resets) as port:
        timeline = Timeline(time.time_ns(), 0, 10.0, lambda _: None)
        with contextlib.closing(plain_exchange()(order(port, duration=10.0), timeline)) as exchange:
            exchange.send_due(time.time_ns(), 1, True)
            until(lambda: exchange.in_flight == 0, exchange)
            answered.set()
            time.sleep(0.05)  # the connection is reset meanwhile, and was not read since
            exchange.send_due(time.time_ns(), 1, True)
            until(lambda: exchange.in_flight == 0, exchange)
            assert exchange.resent == 1


def until(done, exchange):
    deadline = time.monotonic() + 5
    while not done():
        assert time.monotonic() < deadline
        exchange.poll(0.01)


def slowly(send_due):
    """Limit the generator to 10,000 requests a second."""

    def late(*args):
        time.sleep(0.0001)
        send_due(*args)

    return late
