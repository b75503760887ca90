"""Requests whose bytes differ by arrival: each is made once, and sent again with the same bytes."""

import contextlib
import socket
import struct
import threading
import time
from itertools import islice

import pytest

from runner.core.mix import order as mix_order
from runner.load.timeline import Timeline
from tests.load.orders import order, request
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
RENDERED = b"rendered"


@pytest.fixture
def rendered(monkeypatch):
    """Render requests that begin with a marker; returns the numbers that were asked for."""
    numbers = []

    def render(number):
        numbers.append(number)
        body = b"%d " % number * (300_000 if number == 5 else 1)
        return b"PUT /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (number, len(body)) + body

    monkeypatch.setattr(
        "runner.load.part.renderers",
        lambda order: [render if request.content == RENDERED else None for request in order.requests],
    )
    return numbers


@contextlib.contextmanager
def exchange_of(way, port, **changes):
    changes = {"requests": (request(RENDERED, resend=True),)} | changes
    stage = order(port, duration=30.0, **changes)
    timeline = Timeline(time.time_ns(), 0, 30.0, lambda _: None, len(stage.requests))
    with contextlib.closing(way.make(stage, timeline)) as exchange:
        yield exchange


def send(exchange, count):
    exchange.send_due(time.time_ns(), count, True)
    deadline = time.monotonic() + 10
    while exchange.in_flight:
        assert time.monotonic() < deadline
        exchange.poll(0.01)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("mix", [False, True])
def test_every_arrival_is_rendered_once_whatever_the_number_of_workers(way, rendered, workers, mix):
    arrived = []

    def script(client, got):
        arrived.append(got)
        client.sendall(OK)

    requests = (request(RENDERED), *([request(weight=0.5)] if mix else []))
    with scripted(script, tls=way.server) as port:
        for worker in range(workers):
            with exchange_of(way, port, requests=requests, worker=worker, workers=workers) as exchange:
                for _ in range(3):
                    send(exchange, 24 // workers // 3)

    in_turn = islice(mix_order([one.weight for one in requests]), 24)
    numbers = {k for k, index in enumerate(in_turn) if index == 0}
    assert sorted(rendered) == sorted(numbers)
    assert {int(got.split(b" ")[1][1:]) for got in arrived if got.startswith(b"PUT")} == numbers
    assert len(arrived) == 24
    for got in arrived:
        head, _, body = got.partition(b"\r\n\r\n")
        number = head.split(b" ")[1][1:]
        assert not number or set(body.split()) == {number}


def test_arrivals_without_a_slot_keep_their_numbers(way, rendered):
    with (
        scripted(lambda client, _: client.sendall(OK), tls=way.server) as port,
        exchange_of(way, port) as exchange,
    ):
        send(exchange, 2)
        exchange.drop_due(3, True)
        send(exchange, 2)

    assert rendered == [0, 1, 5, 6]


def test_a_request_that_met_a_closed_connection_is_not_rendered_again(way, rendered):
    arrived, answered = [], threading.Event()

    def answers_and_resets(client, got):
        arrived.append(got)
        client.sendall(OK)
        answered.wait(5)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    with scripted(answers_and_resets, tls=way.server) as port, exchange_of(way, port) as exchange:
        send(exchange, 1)
        answered.set()
        time.sleep(0.1)  # the connection is reset meanwhile
        send(exchange, 1)

        assert exchange.resent == 1
    assert rendered == [0, 1]
    assert [got.split(b" ")[1] for got in arrived] == [b"/0", b"/1"]
