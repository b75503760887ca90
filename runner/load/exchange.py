"""Sends requests and receives responses: the half of the generator's loop that handles sockets.

A request is sent on the connection that was used last. Responses carry the kernel's own receive timestamp
(SO_TIMESTAMPNS), so reading them a moment later, together with others, costs less and changes no latency.

In the open model the loop says which requests are due (`send_due`). In the closed model a connection belongs
to a user, and sends the next request as soon as the response to the last one was received (`send_next`).

This file is the hot path: it has long functions where fewer calls measurably matter. `send_due`, `send_next`
and `poll` have a compiled twin in fastpath.pyx, which does the same.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from msgspec.structs import replace

from runner.core.load_facts import MAX_SAMPLE
from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns
from runner.load.backlog import Backlog
from runner.load.connection import (
    CLOSED,
    CONNECTING,
    FAILURES,
    IDLE,
    LINGERING,
    RESETS,
    SENT,
    SO_TIMESTAMPNS,
    STAMP_SPACE,
    WAITING,
    Ancillary,
    Connection,
    keep_kernel_stamping,
    round_trip_ns,
    unacknowledged,
    unpack_stamp,
)
from runner.load.part import Part, in_turn, parts_of
from runner.load.response_parser import Response
from runner.load.response_sample import (
    MAX_SAMPLES,
    MAX_STATUSES,
    OPENING_BYTES,
    OTHER_STATUSES,
    response_sample,
)
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.tolerant_parser import ProtocolFault
from runner.load.users import NO_USER, Users
from runner.load.worker_order import WorkerOrder

BUFFER_BYTES: Final = 256 * 1024
_LARGE_BYTES: Final = 16 * 1024
_CHECK_EVERY: Final = 64
_CHECKS: Final = 1024
_MAX_READS: Final = 256
_IN: Final = select.EPOLLIN
_READ: Final = select.EPOLLIN | select.EPOLLRDHUP
_WRITE: Final = select.EPOLLOUT
_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_AWAITING: Final = (SENT, WAITING)
_CLOSES: Final = ("reset", "closed_early")
_UNKNOWN: Final = "connect_refused"
_TIMED_OUT: Final = b" 408 "
_UNASKED: Final = "a response that had arrived before its request was sent"
_KIND: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Exchange:
    """One worker's connections and the requests on them.

    Args:
        order: The request, and which response is a successful one.
        timeline: Where requests are counted.

    Attributes:
        epoll: Reports which connections are readable.
        in_flight: Requests dispatched and not ended.
        urgent: How many events cannot wait until the next arrival is due: handshakes whose end our own
            clock timestamps, requests that did not fit into a socket's buffer, and, from the first one on,
            responses that would fill a buffer of the kernel.
        unstamped: Reads for which the kernel had no timestamp.
        freed_ns: When the request ended that ended last; of those read together, the first one.
        opened: Connections opened.
        closed_by_server: Keep-alive connections that the server closed, or announced to close.
        unasked: Connections closed because of bytes that no request had asked for: behind a response, or
            before the next request was sent.
        resent: Requests whose keep-alive connection was closed before they arrived, sent again on a new one.
        stale: The same of requests that must not be repeated; these have failed.
        faults: Why responses were no HTTP, and how often.
        closed_first: Connections that the server was expected to close and did not.
        handshakes: Some connect times, each with the kernel's own round-trip time, in nanoseconds.
        parts: The requests of the mix, with how their response times developed.
        users: Who sends requests in the closed model; None in the open one.
        until_ns: Until when users may go on without the loop.
        leaves_unfolded: Whether `Tally.fold` has as many values to count as there are requests.
    """

    leaves_unfolded = True

    def __init__(self, order: WorkerOrder, timeline: Timeline) -> None:
        self.epoll = select.epoll()
        self.in_flight = self.urgent = 0
        self.unstamped = self.resent = self.stale = self.closed_first = self.unasked = 0
        self.freed_ns = self.opened = self.closed_by_server = 0
        self.faults: Counter[str] = Counter()
        self.handshakes: list[tuple[Nanoseconds, Nanoseconds]] = []
        self.parts = self._make_parts(order)
        self._in_turn = in_turn(order, self.parts)
        self._order = order
        self._timeline = timeline
        self._new = order.new_connections
        self._timeout_ns = ns(order.timeout)
        self._connections: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._lingering: deque[Connection] = deque()
        self._large = False
        self._is_mix = len(self.parts) > 1
        self._resends: list[Connection] = []
        self._returning: list[int] = []
        self.users = Users(order, timeline, self.parts) if order.most_users else None
        self.until_ns = 0
        self._free: Callable[[Connection], object] = self.send_next if self.users else self._idle.append
        self._buffer = bytearray(BUFFER_BYTES)
        self._buffers = [self._buffer]
        self._view = memoryview(self._buffer)
        self._statuses: set[int] = set()
        self._sampled: set[tuple[int, str, int]] = set()
        self._stamping = keep_kernel_stamping()

    def _make_parts(self, order: WorkerOrder) -> Sequence[Part]:
        """Return the requests."""
        return parts_of(order)

    def close(self) -> None:
        """Close every connection; requests under way are not counted any more."""
        for connection in list(self._connections.values()):
            self._close(connection)
        self.epoll.close()
        if self._stamping is not None:
            self._stamping.close()

    @property
    def requests_in_flight(self) -> int:
        """Requests dispatched and not ended."""
        return self.in_flight

    @property
    def users_in_flight(self) -> Sequence[int]:
        """How many users of each scenario are under way; none without scenarios."""
        return ()

    def backlogs(self) -> list[Backlog]:
        """Return how response times of the requests developed."""
        return [part.backlog for part in self.parts]

    def hand_over(self) -> None:
        """Add what was counted elsewhere to the timeline and to the parts, before they are read."""

    # -- requests

    def send_due(self, due: Nanoseconds, count: int, measured: bool) -> None:
        """Dispatch requests that are due together: each on the idle connection used last or on a new one."""
        clock, idle = time.time_ns, self._idle
        self.in_flight += count
        tallies = self._timeline.current.parts
        for part, number in islice(self._in_turn, count):
            content = part.content if part.render is None else part.render(number)
            started = clock()
            if measured:
                tally = tallies[part.index]
                tally.scheduled += self._is_mix
                tally.sent += 1
                tally.dispatch_delay.add(started - due)
            while idle:
                connection = idle.pop()
                if connection.state == IDLE:
                    break
            else:
                self._connect(part, content, due, started, measured)
                continue
            connection.due, connection.started, connection.measured = due, started, measured
            self._send_on(connection, part, content)
        if self._resends:
            self._reconnect()

    def _send_on(self, connection: Connection, part: Part, content: bytes) -> None:
        """Send a request on a connection that has carried a response before."""
        connection.part, connection.content = part, content
        connection.state = SENT
        try:
            sent = connection.send(content)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._not_accepted(connection, error.errno or 0)
            return
        if sent != len(content):
            connection.state = WAITING
            self._wait_to_send(connection, content[sent:])

    def drop_due(self, count: int, measured: bool) -> None:
        """Pass over requests that are due and cannot be sent."""
        tallies = self._timeline.current.parts
        for part, _ in islice(self._in_turn, count):
            if measured:
                tallies[part.index].scheduled += self._is_mix
                tallies[part.index].dropped += 1

    # -- users

    def serve(self, until_ns: Nanoseconds) -> None:
        """Receive responses and send next requests until some instant, or for a while."""
        self.poll(max(0, until_ns - time.time_ns()) / NS_PER_S)

    def resume(self, users: Iterable[int]) -> None:
        """Let users begin on new connections, and those with idle connections go on or leave."""
        assert self.users is not None
        for user in users:
            self._begin(user)
        waiting = self._idle[:]
        self._idle.clear()
        for connection in waiting:
            if connection.user >= self.users.active:
                self._close(connection)
            elif connection.state == IDLE:
                self.send_next(connection)
            else:
                self._begin(connection.user)
        if self._resends or self._returning:
            self._reconnect()

    def send_next(self, connection: Connection) -> None:
        """Send the next request of a connection's user; leave it idle if the loop has to look first."""
        users = self.users
        assert users is not None
        if time.time_ns() >= self.until_ns or connection.user >= users.active:
            self._idle.append(connection)
            return
        part, content = users.next_request(connection.user)
        connection.due = connection.started = time.time_ns()
        connection.measured = self._count_sent(part)
        self._send_on(connection, part, content)

    def _begin(self, user: int) -> None:
        """Send the next request of a user on a new connection."""
        assert self.users is not None
        if time.time_ns() >= self.until_ns or user >= self.users.active:
            self.users.resume_at(user, self.until_ns)
            return
        part, content = self.users.next_request(user)
        started = time.time_ns()
        self._connect(part, content, started, started, self._count_sent(part), user)

    def _count_sent(self, part: Part) -> bool:
        """Count a request of a user that is about to be sent; returns whether it is in the window."""
        self.in_flight += 1
        second = self._timeline.current
        if second.index < 0:
            return False
        tally = second.parts[part.index]
        tally.scheduled += 1
        tally.sent += 1
        second.scheduled += self._is_mix
        return True

    # -- connections

    def _connect(
        self,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        measured: bool,
        user: int = NO_USER,
    ) -> None:
        sock, number = self._open(len(content))
        if sock is None:
            self._count_failure(part, due, measured, FAILURES.get(number, _UNKNOWN), user)
            return
        connection = self._new_connection(sock, part, content, due, started, measured=measured, user=user)
        self._connections[connection.fd] = connection
        # On loopback and bridges the handshake is over when connect returns. Trying to send at once shows
        # that without an extra wake-up.
        connection.connected = time.time_ns()
        try:
            count = connection.send(content)
        except BlockingIOError:
            self.urgent += 1
            self.epoll.register(connection.fd, _READ | _WRITE)
            return
        except OSError as error:
            connection.state = WAITING
            self._write_failed(connection, error.errno or 0)
            return
        connection.state = WAITING
        self._count_connect(connection)
        self.epoll.register(connection.fd, _READ)
        if count != len(content):
            self._wait_to_send(connection, content[count:])

    def _open(self, size: int) -> tuple[socket.SocketType | None, int]:
        """Return a socket that begins to connect, for a request of some size, or the error number."""
        family, address = self._address()
        try:
            sock = socket.SocketType(family, _KIND)
        except OSError as error:
            return None, error.errno or errno.EMFILE
        try:
            if self._stamping is not None:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if not self._new or size > 1000:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(address)
        except OSError as error:
            number = error.errno or errno.EIO
        if number in {0, errno.EINPROGRESS}:
            return sock, 0
        sock.close()
        return None, number

    def _address(self) -> tuple[int, tuple[str | int, ...]]:
        """Return the address family and the address to connect to."""
        return self._order.family, self._order.address

    def _new_connection(
        self,
        sock: socket.SocketType,
        part: Part,
        content: bytes,
        due: Nanoseconds,
        started: Nanoseconds,
        *,
        measured: bool,
        user: int,
    ) -> Connection:
        """Return the connection of a socket."""
        return Connection(sock, part, content, due, started, measured=measured, user=user)

    def _finish_connect(self, connection: Connection) -> None:
        """Handle the end of the TCP handshake, successful or not."""
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._fail(connection, FAILURES.get(number, "connect_refused"))
            return
        self.urgent -= 1
        connection.connected = time.time_ns()
        connection.state = WAITING
        self._count_connect(connection)
        self.epoll.modify(connection.fd, _READ)
        self._send(connection, connection.content)

    def _count_connect(self, connection: Connection) -> None:
        """Count a connection, and record some connect times beside the kernel's round-trip time."""
        self.opened += 1
        if self.opened % _CHECK_EVERY == 0 and len(self.handshakes) < _CHECKS:
            ours = connection.connected - connection.started
            self.handshakes.append((ours, round_trip_ns(connection.sock)))

    def _send(self, connection: Connection, data: bytes) -> None:
        try:
            count = connection.send(data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._write_failed(connection, error.errno or 0)
            return
        if count < len(data):
            self._wait_to_send(connection, data[count:])
        elif connection.unsent:
            connection.unsent = b""
            self.urgent -= 1
            self.epoll.modify(connection.fd, _READ)

    def _wait_to_send(self, connection: Connection, rest: bytes) -> None:
        if not connection.unsent:
            self.urgent += 1
            self.epoll.modify(connection.fd, _READ | _WRITE)
        connection.unsent = rest

    # -- responses

    def poll(self, patience: Seconds) -> None:
        """Read from all readable connections; waits up to `patience` for one."""
        events = self.epoll.poll(patience)
        if not events:
            return
        connections, free = self._connections, self._free
        completed = first = 0
        for fd, mask in events:
            connection = connections.get(fd)
            if connection is None:
                continue
            if connection.state != SENT or mask != _IN:
                self._handle(connection, mask)
                continue
            try:
                count, ancillary, _, _ = connection.receive(self._buffers, STAMP_SPACE)
            except OSError as error:
                self._read_failed(connection, error)
                continue
            if stamp := self._count_usual(connection, count, ancillary):
                completed += 1
                first = first or stamp
                connection.state = IDLE
                free(connection)
            else:
                connection.state = WAITING
                self._received(connection, count, ancillary, mask)
        self.in_flight -= completed
        self.freed_ns = first or self.freed_ns
        if self._resends or self._returning:
            self._reconnect()

    def _count_usual(self, connection: Connection, count: int, ancillary: Ancillary) -> Nanoseconds:
        """Count a response of the most common kind; returns when it arrived, 0 if it is of another kind.

        Nearly every response is complete, in one piece, on a keep-alive connection, and like the last one.
        """
        part, timeline = connection.part, self._timeline
        heads = part.heads
        if (
            count != heads.count
            or not heads.plain
            or not ancillary
            or not self._buffer.startswith(heads.head)
        ):
            return 0
        seconds, nanoseconds = unpack_stamp(ancillary[0][2])
        stamp = int(seconds * NS_PER_S + nanoseconds)
        started = connection.started
        if not timeline.begins_ns <= stamp < timeline.ends_ns or not 0 <= stamp - started <= self._timeout_ns:
            return 0
        tally = timeline.current.parts[part.index]
        tally.completed += 1
        if connection.measured:
            self._count_success(tally, connection, started, stamp, stamp)
        return stamp

    def _handle(self, connection: Connection, mask: int) -> None:
        """Handle any event but a response of the most common kind."""
        if connection.state == CONNECTING:
            self._finish_connect(connection)
        elif connection.state not in _AWAITING:
            if connection.state == IDLE:
                self._count_lost(unasked=is_unasked(_peek(connection.sock)))
            self._close(connection)
        else:
            # A server that responds before it has the whole request may not take the rest of it.
            if mask & ~_WRITE:
                self._read(connection, mask & ~_WRITE)
            if connection.unsent and connection.state in _AWAITING:
                self._send(connection, connection.unsent)

    def _read(self, connection: Connection, mask: int) -> None:
        connection.state = WAITING
        try:
            count, ancillary, _, _ = connection.receive(self._buffers, STAMP_SPACE)
        except OSError as error:
            self._read_failed(connection, error)
        else:
            self._received(connection, count, ancillary, mask)

    def _received(self, connection: Connection, count: int, ancillary: Ancillary, mask: int) -> None:
        """Handle received bytes, the first ones of a response or more of it, or the peer's close."""
        if ancillary:
            seconds, nanoseconds = unpack_stamp(ancillary[0][2])
            stamp = seconds * NS_PER_S + nanoseconds
        else:
            stamp = time.time_ns()
            self._count_unstamped(count)
        if stamp < connection.started and count and _is_first(connection):
            self._met_unasked(connection, count, mask)
            return
        part, failure = connection.part, ""
        heads = part.heads
        if connection.response is None and heads.find(self._buffer, count):
            if part.reads_heads or heads.status not in part.accepted:
                body = self._buffer[len(heads.head) : count]
                failure = self._failure(connection, heads.status, heads.head, body)
            self._complete(connection, heads.status, stamp, stamp, failure, heads.keep, mask)
        else:
            self._parse(connection, count, stamp, mask)

    def _read_failed(self, connection: Connection, error: OSError) -> None:
        number = error.errno or 0
        if number != errno.EAGAIN:
            self._fail(connection, "timeout" if number == errno.ETIMEDOUT else FAILURES.get(number, "reset"))

    def _count_unstamped(self, count: int) -> None:
        """Count a read without a timestamp; from now on, reads are urgent."""
        if count:
            self.urgent += not self.unstamped
            self.unstamped += 1

    def _parse(self, connection: Connection, count: int, stamp: Nanoseconds, mask: int) -> None:
        """Parse a response unlike those before it, or the next piece of one."""
        parsed = connection.response
        first = parsed is None
        if parsed is None:
            if not count:
                self._ended(connection)
                return
            parsed = connection.response = self._new_response(connection.part)
            parsed.first_ns = stamp
        if not count:
            if not self._completed_by_close(connection):
                self._fail(connection, "closed_early")
            return
        if len(parsed.opening) < OPENING_BYTES:
            parsed.opening += self._view[: min(count, OPENING_BYTES)]
        try:
            parsed.feed(self._view[:count])
        except ProtocolFault as fault:
            self._misunderstood(connection, str(fault))
            return
        parsed.last_ns = stamp
        if parsed.complete:
            if first:
                connection.part.heads.remember(parsed, self._buffer, count)
            failure = self._failure(connection, parsed.status, parsed.head, parsed.body)
            self._complete(
                connection, parsed.status, parsed.first_ns, stamp, failure, parsed.keep_alive, mask
            )
        elif count >= _LARGE_BYTES and not self._large:
            self._large = True
            self.urgent += 1

    def _completed_by_close(self, connection: Connection) -> bool:
        """Return whether the peer's close ended a response properly, which is then counted."""
        parsed = connection.response
        if parsed is None or not parsed.close():
            return False
        failure = self._failure(connection, parsed.status, parsed.head, parsed.body)
        self._complete(connection, parsed.status, parsed.first_ns, parsed.last_ns, failure, False, _GONE)
        return True

    def _new_response(self, part: Part) -> Response:
        """Return what parses a response to a request."""
        return Response(head_only=part.head_only, keep=part.reads_heads)

    def _failure(self, connection: Connection, status: int, head: bytes, body: bytes | bytearray) -> str:
        """Return the kind of failure that a whole response is; empty if it is successful."""
        return connection.part.failure(status, head, body)

    def _complete(
        self,
        connection: Connection,
        status: int,
        first: Nanoseconds,
        done: Nanoseconds,
        failure: str,
        keep: bool,
        mask: int,
    ) -> None:
        """Count a response whose last byte has arrived, and keep or close its connection."""
        timeline, part = self._timeline, connection.part
        second = timeline.current
        if not timeline.begins_ns <= done < timeline.ends_ns:
            second = timeline.at(done)
        tally = second.parts[part.index]
        started = connection.started
        if done - started > self._timeout_ns:
            failure = "timeout"
        if not failure:
            tally.completed += 1
            if connection.measured:
                if not connection.reused:
                    started = self._count_connection_times(tally, connection)
                self._count_success(tally, connection, started, first, done)
        if failure and connection.measured:
            tally.failures[failure] += 1
            self._describe(tally, connection, failure, status)
            if self.users is None:
                part.backlog.ended(connection.due - timeline.measure_ns, done - connection.due)
        self.in_flight -= 1
        self.freed_ns = done
        self._release(connection, done, keep, mask)

    def _count_success(
        self,
        tally: Tally,
        connection: Connection,
        started: Nanoseconds,
        first: Nanoseconds,
        done: Nanoseconds,
    ) -> None:
        """Count the times of a successful response; those since it was due only where it was due."""
        tally.succeeded += 1
        if first == done:
            tally.whole.add(done - started)
        else:
            tally.duration.add(done - started)
            tally.first_byte.add(first - started)
        if self.users is None:
            due, timeline = connection.due, self._timeline
            tally.response_time.add(done - due)
            connection.part.backlog.succeeded(due - timeline.measure_ns, done - due, done - timeline.end_ns)

    def _describe(self, tally: Tally, connection: Connection, failure: str, status: int) -> None:
        """Count the status of a response that did not succeed, and keep the first of its request and kind."""
        code = 0
        if failure == "bad_status":
            code = self._counted_as(status)
            tally.statuses[code] += 1
        kind = (connection.part.index, failure, code)
        if kind in self._sampled or len(self._sampled) >= MAX_SAMPLES:
            return
        if opening := self._opening(connection):
            self._sampled.add(kind)
            tally.samples.append(response_sample(failure, status, opening))

    def _counted_as(self, status: int) -> int:
        """Return the status, or what further ones are counted as once there are very many."""
        if status not in self._statuses:
            if len(self._statuses) >= MAX_STATUSES:
                return OTHER_STATUSES
            self._statuses.add(status)
        return status

    def _opening(self, connection: Connection) -> bytes:
        """Return the bytes that a response begins with; one with a known head is in the buffer."""
        if connection.response is not None:
            return connection.response.opening
        return bytes(self._view[: min(connection.part.heads.count, OPENING_BYTES)])

    def _count_connection_times(self, tally: Tally, connection: Connection) -> Nanoseconds:
        """Count the connect time of a successful response; returns when the connection was ready."""
        tally.connect.add(connection.connected - connection.started)
        return connection.connected

    def _release(self, connection: Connection, done: Nanoseconds, keep: bool, mask: int) -> None:
        """Keep a connection whose response is complete, or close it."""
        unasked = connection.response is not None and connection.response.unasked
        self._forget_response(connection)
        if self.users is not None:
            self.users.responded(connection.user)
        if mask & _GONE or not keep:
            self._count_lost(unasked=unasked)
        if mask & _GONE or connection.unsent:
            self._close(connection)
        elif self._new or not keep:
            self._linger(connection, done)
        else:
            connection.state = IDLE
            connection.reused = True
            self._free(connection)
            return
        if connection.user != NO_USER:
            self._returning.append(connection.user)

    def _count_lost(self, *, unasked: bool) -> None:
        """Count a connection that cannot carry another request because of what the server did."""
        if unasked:
            self.unasked += 1
        else:
            self.closed_by_server += not self._new

    def _linger(self, connection: Connection, done: Nanoseconds) -> None:
        """Wait for the peer to close first, so that TIME_WAIT, which occupies the port, is on its side."""
        connection.state = LINGERING
        connection.started = done
        self._lingering.append(connection)
        if len(self._lingering) > self._order.most_connections:
            self._stop_lingering()

    def _stop_lingering(self) -> None:
        connection = self._lingering.popleft()
        if connection.state == LINGERING:
            self.closed_first += 1
            self._close(connection)

    # -- failures

    def _not_accepted(self, connection: Connection, number: int) -> None:
        """Handle a keep-alive connection of which the kernel took no byte: it was closed before."""
        if number in RESETS:
            self._met_closed(connection, "reset")
        else:
            self._fail(connection, FAILURES.get(number, "reset"))

    def _ended(self, connection: Connection) -> None:
        """Handle the peer's close (FIN) instead of a response.

        A FIN acknowledges everything that had reached the server when it was sent. While no byte of the
        request is acknowledged, the server closed before the request arrived. A connection that ends with RST
        alone proves nothing: the kernel does not read the acknowledgement in it.
        """
        if connection.reused and unacknowledged(connection.sock) >= self._written(connection):
            self._met_closed(connection, "closed_early")
        else:
            self._fail(connection, "closed_early")

    def _written(self, connection: Connection) -> int:
        """Return how many bytes of its request a connection's socket has taken."""
        return len(connection.content) - len(connection.unsent)

    def _met_closed(self, connection: Connection, failure: str) -> None:
        """Send once more what was sent on a connection that the server had closed (RFC 9112, 9.3.1)."""
        self.closed_by_server += 1
        if self._may_resend(connection):
            self._resends.append(connection)
        else:
            self.stale += connection.measured
            self._count_end(connection, failure)
        self._close(connection)

    def _may_resend(self, connection: Connection) -> bool:
        """Return whether a connection's request may be sent again."""
        return connection.part.resend

    def _write_failed(self, connection: Connection, number: int) -> None:
        """Read what arrived before a request could not be sent: it may be the response (RFC 9112, 9.5)."""
        failure = FAILURES.get(number, "reset")
        if failure == "reset":
            self._read_rest(connection)
            if connection.state not in _AWAITING:
                return
            # Where a RST follows a FIN, the kernel reports EPIPE instead of ECONNRESET.
            if number == errno.EPIPE and self._completed_by_close(connection):
                return
            if number == errno.EPIPE and connection.response is None:
                self._ended(connection)
                return
        self._fail(connection, failure)

    def _read_rest(self, connection: Connection) -> None:
        connection.state = WAITING
        for _ in range(_MAX_READS):
            try:
                count, ancillary, _, _ = connection.receive(self._buffers, STAMP_SPACE)
            except BlockingIOError:  # of TLS: what arrived was no data
                continue
            except OSError:
                return
            if count:
                self._received(connection, count, ancillary, _GONE)
            if not count or connection.state not in _AWAITING:
                return

    def _met_unasked(self, connection: Connection, count: int, mask: int) -> None:
        """Handle bytes that had arrived before the request was sent, and so cannot be its response.

        A server may say why it closes an idle connection (408); whether the request met that is known then.
        """
        if mask & _GONE and unacknowledged(connection.sock) >= self._written(connection):
            self._met_closed(connection, "closed_early")
            return
        self.unasked += 1
        response = connection.response = self._new_response(connection.part)
        response.opening = bytes(self._view[: min(count, OPENING_BYTES)])
        self._misunderstood(connection, _UNASKED)

    def _misunderstood(self, connection: Connection, reason: str) -> None:
        """Count a response that is no HTTP, with the reason, which its sample keeps."""
        if connection.measured:
            self.faults[reason] += 1
        samples = self._timeline.current.parts[connection.part.index].samples
        before = len(samples)
        self._fail(connection, "protocol")
        if len(samples) > before and samples[-1].failure == "protocol":
            samples[-1] = replace(samples[-1], failed_checks=reason[:MAX_SAMPLE])

    def _fail(self, connection: Connection, failure: str) -> None:
        """Count a failed request, and close its connection.

        A server that refuses a request while its body is being sent closes, and what is left of its response
        may be lost: its status tells why the request failed.
        """
        self.closed_by_server += failure in _CLOSES and connection.state in _AWAITING and not self._new
        response = connection.response
        if response is not None and response.status not in {0, *connection.part.accepted}:
            cut = failure == "reset" or (failure == "closed_early" and response.until_close)
            failure = "bad_status" if cut else failure
        if response is not None and connection.measured:
            self._describe(
                self._timeline.current.parts[connection.part.index], connection, failure, response.status
            )
        self._count_end(connection, failure)
        self._close(connection)

    def _count_end(self, connection: Connection, failure: str) -> None:
        """Count the failure of a connection's request."""
        self._count_failure(connection.part, connection.due, connection.measured, failure, connection.user)

    def _count_failure(self, part: Part, due: Nanoseconds, measured: bool, failure: str, user: int) -> None:
        now = time.time_ns()
        if measured:
            self._timeline.current.parts[part.index].failures[failure] += 1
        self.in_flight -= 1
        self.freed_ns = now
        if self.users is not None:
            self.users.pause(user, now)
            self.until_ns = min(self.until_ns, self.users.next_change_ns)
        elif measured:
            part.backlog.ended(due - self._timeline.measure_ns, now - due)

    def _reconnect(self) -> None:
        """Let users go on whose connections were closed, and send again what met closed connections."""
        while self._returning:
            self._begin(self._returning.pop())
        self._resend()

    def _resend(self) -> None:
        """Send on new connections the requests that met closed ones."""
        resends, self._resends = self._resends, []
        self.resent += len(resends)
        for connection in resends:
            self._connect(
                connection.part,
                connection.content,
                connection.due,
                connection.started,
                connection.measured,
                connection.user,
            )

    def _close(self, connection: Connection) -> None:
        if connection.state == CLOSED:
            return
        if connection.state == CONNECTING or connection.unsent:
            self.urgent -= 1
        connection.state = CLOSED
        self._forget_response(connection)
        del self._connections[connection.fd]
        connection.sock.close()

    def _forget_response(self, connection: Connection) -> None:
        """Let a response be freed: its parser refers back to it, and the worker collects no garbage."""
        if connection.response is not None:
            connection.response.release()
            connection.response = None

    def end_overdue(self, now: Nanoseconds) -> None:
        """Fail requests that exceeded the timeout; close connections that the peer did not close in 1 s."""
        while self._lingering and (
            self._lingering[0].state == CLOSED or self._lingering[0].started < now - NS_PER_S
        ):
            self._stop_lingering()
        oldest = now - self._timeout_ns
        for connection in list(self._connections.values()):
            if connection.started <= oldest and connection.state in {CONNECTING, *_AWAITING}:
                self._fail(connection, "connect_timeout" if connection.state == CONNECTING else "timeout")


def is_unasked(opening: bytes | bytearray) -> bool:
    """Return whether bytes on an idle connection are more than the reason why the server closes it (408)."""
    return bool(opening) and opening[8:13] != _TIMED_OUT


def _is_first(connection: Connection) -> bool:
    """Return whether a request still waits for a response's first byte, and the clock was not set back."""
    return connection.reused and connection.response is None and connection.started <= time.time_ns()


def _peek(sock: socket.SocketType) -> bytes:
    """Return what there is to read from a socket, as far as `is_unasked` looks."""
    try:
        return sock.recv(13, socket.MSG_PEEK)
    except OSError:
        return b""
