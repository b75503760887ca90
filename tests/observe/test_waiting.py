"""On which connections a response is due, from states as the kernel reports them."""

from __future__ import annotations

import struct

import pytest

from runner.observe.peers.waiting import TcpState, Waiting, tcp_state

_INODE = 7


def _state(
    *, sent: int, received: int, acked: int | None = None, unacked: int = 0, bare: int = 0, requests: int = 10
) -> TcpState:
    acked = received if acked is None else acked
    return TcpState(unacked, sent, received, acked, requests + bare, requests, requests)


@pytest.mark.parametrize(
    ("state", "is_due"),
    [
        (_state(sent=5, received=40), True),
        (_state(sent=40, received=5), False),
        (_state(sent=9, received=9), False),
        (_state(sent=9, received=9, unacked=1), True),
        (_state(sent=90, received=90, acked=50), True),
        (_state(sent=9, received=9, bare=10), True),
        (_state(sent=9, received=9, bare=2), False),
    ],
    ids=[
        "sent last",
        "received last",
        "a quick response in one tick",
        "a request that is not acknowledged yet",
        "a request that was acknowledged later by itself",
        "requests are acknowledged by themselves",
        "responses acknowledge most requests",
    ],
)
def test_a_response_is_due_where_the_last_data_was_sent(state: TcpState, *, is_due: bool) -> None:
    assert Waiting().is_due(_INODE, state) is is_due


def test_only_the_latest_requests_tell_how_they_are_acknowledged() -> None:
    waiting = Waiting()
    assert waiting.is_due(_INODE, _state(sent=9, received=9, bare=10))
    waiting.begin()
    assert not waiting.is_due(_INODE, _state(sent=9, received=9, bare=10, requests=40))
    waiting.begin()
    assert not waiting.is_due(_INODE, _state(sent=99, received=99, bare=10, requests=40))


def test_a_connection_that_was_closed_is_forgotten() -> None:
    waiting = Waiting()
    assert waiting.is_due(_INODE, _state(sent=9, received=9, bare=10))
    waiting.begin()
    waiting.begin()
    assert not waiting.is_due(_INODE, _state(sent=9, received=9, bare=0, requests=0))


def test_a_state_is_read_from_where_the_kernel_puts_it() -> None:
    info = bytearray(232)
    places = {24: 1, 44: 2, 52: 3, 56: 4, 140: 9, 152: 6, 156: 7}  # struct tcp_info (linux/tcp.h)
    for at, value in places.items():
        struct.pack_into("=I", info, at, value)
    assert tcp_state(bytes(info)) == TcpState(1, 2, 3, 4, 9, 6, 7)
    assert tcp_state(bytes(info[:104])) == TcpState(1, 2, 3, 4, 0, 0, 0)
    assert tcp_state(b"") is None
