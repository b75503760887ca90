"""HTTP responses over loopback: the compiled exchange and the one in Python count each the same.

The first two bytes of an input are how it is sent; the others are the server's response to each request.
"""

import contextlib
import os
import select
import socket
import struct
import time
from collections import Counter
from random import Random

from runner.load.checks import CheckOrder
from runner.load.connection import unacknowledged
from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.load.timeline import Timeline
from tests.fuzz.mutators import mutate_bytes
from tests.fuzz.target import Target
from tests.fuzz.targets import responses
from tests.load.orders import order

REQUESTS = 3
_HEAD, _NEW, _NEEDLE, _CLOSES, _LARGE, _RESETS, _NO_RESEND, _TOGETHER = (1 << bit for bit in range(8))
_LARGE_BYTES = 512 * 1024
_ARRIVES_WITHIN_S = 0.5
_READ_WITHIN_S = 10
"""Half a MiB takes long where other tests take the CPU."""
_ENDS_WITHIN = 200


def seeds():
    """Return the usual responses, each sent in some ways."""
    ways = (0, _CLOSES, _NEW, _NEEDLE, _LARGE | _CLOSES, _RESETS, _TOGETHER)
    wholes = [data for data, _, _ in responses.WHOLE.values()]
    return [bytes((ways[at % len(ways)], at % 5)) + data for at, data in enumerate(wholes * 2)]


def check(data: bytes) -> None:
    if len(data) < 2:
        return
    compiled = plain_exchange()
    ways = [Exchange, compiled]
    if os.environ.get("FUZZ_COMPILED_ONLY"):
        assert compiled is not Exchange, "the compiled exchange cannot be imported"
        ways = [compiled]
    outcomes = [exchanged(way, data[0], data[1], data[2:]) for way in ways]
    if not data[0] & _RESETS:  # a reset may overtake what was sent before it
        assert outcomes[0] == outcomes[-1], f"Python counts {outcomes[0]}, compiled {outcomes[-1]}"


def exchanged(exchange_type: type[Exchange], way: int, seed: int, response: bytes) -> object:
    """Return what is counted for some requests that are answered with these bytes."""
    if way & _LARGE:
        response += response[-64:] * (_LARGE_BYTES // max(len(response[-64:]), 1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        conversation = _Conversation(exchange_type, listener, way)
        try:
            for _ in range(REQUESTS):
                conversation.ask(response, Random(seed))
            return conversation.outcome()
        finally:
            conversation.close()


class _Conversation:
    """Both sides of some requests, in one thread, so that nothing depends on time."""

    def __init__(self, exchange_type, listener, way):
        self.tallies = []
        self.way, self.listener = way, listener
        self.timeline = Timeline(time.time_ns(), 0.0, 60.0, self.tallies.append)
        self.exchange = exchange_type(
            order(
                listener.getsockname()[1],
                head=bool(way & _HEAD),
                new_connections=bool(way & _NEW),
                checks=CheckOrder(contains=(responses.NEEDLE,) if way & _NEEDLE else ()),
                resend=not way & _NO_RESEND,
                timeout=30.0,
            ),
            self.timeline,
        )
        self.peers = []

    def ask(self, response, random):
        """Send requests and answer them: one, or two together."""
        count = 2 if self.way & _TOGETHER else 1
        self.exchange.send_due(time.time_ns(), count, True)
        for peer in self._asked(count):
            self._answer(peer, response, random)
        self._settle()

    def _asked(self, count):
        """Return the connections on which requests arrived."""
        asked, ends = [], time.monotonic() + _ARRIVES_WITHIN_S
        while len(asked) < count and self.exchange.in_flight and time.monotonic() < ends:
            readable, _, _ = select.select([self.listener, *self.peers], [], [], 0.01)
            if self.listener in readable:
                peer, _ = self.listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.peers.append(peer)
            asked += [peer for peer in readable if peer is not self.listener and self._receives(peer)]
            self.exchange.poll(0)
        return asked

    def _receives(self, peer):
        with contextlib.suppress(OSError):
            if peer.recv(65536):
                return True
        self._drop(peer)
        return False

    def _answer(self, peer, response, random):
        try:
            for piece in self._pieces(response, random):
                self._send(peer, piece)
            if self.way & _CLOSES:
                peer.shutdown(socket.SHUT_WR)
                self._deliver(peer)
        except OSError:
            self._drop(peer)
        else:
            if self.way & _RESETS:
                self._drop(peer)

    def _pieces(self, response, random):
        cuts = sorted(random.randint(0, len(response)) for _ in range(random.randrange(4)))
        return filter(None, (response[a:b] for a, b in zip([0, *cuts], [*cuts, len(response)], strict=True)))

    def _send(self, peer, piece):
        while piece:
            with contextlib.suppress(BlockingIOError):
                piece = piece[peer.send(piece) :]
            self._deliver(peer)

    def _deliver(self, peer):
        """Let the exchange read what was sent, which the kernel may pass on a moment later."""
        ours = peer.getpeername()
        if any(connection.sock.getsockname() == ours for connection in self.exchange._connections.values()):
            select.select([self.exchange.epoll], [], [], _ARRIVES_WITHIN_S)
        self.exchange.poll(0)

    def _drop(self, peer):
        if self.way & _RESETS:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peers.remove(peer)
        peer.close()

    def _settle(self):
        """Let requests without an answer run into their timeout, after all that was sent has arrived."""
        resets = bool(self.way & _RESETS)
        ends = time.monotonic() + (_ARRIVES_WITHIN_S if resets else _READ_WITHIN_S)
        while self.exchange.in_flight and self._is_under_way() and time.monotonic() < ends:
            select.select([self.exchange.epoll], [], [], 0.001)
            self.exchange.poll(0)
        if self.way & _CLOSES:
            for peer in list(self.peers):
                self._drop(peer)
        for _ in range(_ENDS_WITHIN):
            self.exchange.poll(0)
            if not self.exchange.in_flight:
                return
            self.exchange.end_overdue(time.time_ns() + 60 * 10**9)
        raise AssertionError(f"{self.exchange.in_flight} requests never end")

    def _is_under_way(self):
        """Whether something that was sent may not have arrived; the kernel does not say so of a reset."""
        return bool(self.way & _RESETS) or any(unacknowledged(peer) > 0 for peer in self.peers)

    def outcome(self):
        """Return all counts, after checking that they add up."""
        self.exchange.hand_over()
        self.timeline.close_all()
        failures = sum((Counter(tally.failures) for tally in self.tallies), Counter())
        sent, succeeded = (
            sum(getattr(tally, name) for tally in self.tallies) for name in ("sent", "succeeded")
        )
        assert self.exchange.in_flight == 0
        assert sent == succeeded + failures.total() > 0, f"{sent} sent, {succeeded} succeeded, {failures}"
        return (sent, succeeded, dict(failures), dict(self.exchange.faults), self.exchange.opened)

    def close(self):
        for peer in self.peers:
            peer.close()
        self.exchange.close()


def mutate(data: bytes, random: Random) -> bytes:
    way = random.randbytes(2) if random.random() < 0.3 else data[:2]
    return way + mutate_bytes(data[2:], random, responses.TOKENS)


TARGET = Target(seeds, check, mutate, max_bytes=80 * 1024)
