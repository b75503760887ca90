"""Requests out, answers in: the half of the generator's loop that knows sockets.

Arrivals leave on the connection that was used last. Answers carry the kernel's own receive
stamp (SO_TIMESTAMPNS), so reading them a moment later, in one go with others, costs less
and changes no latency.

This file is the hot path: it trades short functions for fewer calls where that was
measured to matter. `ask` and `attend` have a compiled twin in fastpath.pyx, which does the same.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections import deque
from typing import Final

from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns
from runner.load.connection import (
    ASKED,
    CLOSED,
    CONNECTING,
    FAILURES,
    IDLE,
    LINGERING,
    SO_TIMESTAMPNS,
    STAMP_SPACE,
    WAITING,
    Ancillary,
    Connection,
    keep_kernel_stamping,
    round_trip_ns,
    unpack_stamp,
)
from runner.load.response_parser import Answer, Heads, ProtocolFault
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.worker_order import WorkerOrder

BUFFER_BYTES: Final = 256 * 1024
_LARGE_BYTES: Final = 16 * 1024
_CHECK_EVERY: Final = 64
_CHECKS: Final = 1024
_IN: Final = select.EPOLLIN
_READ: Final = select.EPOLLIN | select.EPOLLRDHUP
_WRITE: Final = select.EPOLLOUT
_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_EXPECTING: Final = (ASKED, WAITING)
_KIND: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class Exchange:
    """One worker's connections and the requests on them.

    Args:
        order: What to ask, and what answer is a good one.
        timeline: Where it is counted.

    Attributes:
        epoll: Tells `attend` which connections to read from.
        in_flight: Requests taken up and not ended.
        pressing: How many things cannot wait to be attended to until the next arrival is due:
            handshakes whose end is stamped by our own clock, requests that did not fit into a
            socket's buffer, and for good, once seen, answers that would fill one of the kernel's.
        unstamped: Reads for which the kernel had no stamp.
        resent: Requests whose kept connection turned out to be closed, sent again on a new one.
        closed_first: Connections the server was expected to close and did not.
        handshakes: Some connect times next to the kernel's own round-trip time, in nanoseconds.
    """

    def __init__(self, order: WorkerOrder, timeline: Timeline) -> None:
        self.epoll = select.epoll()
        self.in_flight = self.pressing = 0
        self.unstamped = self.resent = self.closed_first = 0
        self.handshakes: list[tuple[Nanoseconds, Nanoseconds]] = []
        self._order = order
        self._timeline = timeline
        self._request = order.request
        self._size = len(order.request)
        self._needle = order.body_contains
        self._good = frozenset(order.status)
        self._new = order.new_connections
        self._timeout_ns = ns(order.timeout)
        self._connections: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._lingering: deque[Connection] = deque()
        self._again: list[Connection] = []
        self._connects = 0
        plain = () if order.new_connections or order.body_contains else frozenset(order.status)
        self._heads = Heads(head_only=order.head, plain=plain)
        self._buffer = bytearray(BUFFER_BYTES)
        self._buffers = [self._buffer]
        self._view = memoryview(self._buffer)
        self._stamping = keep_kernel_stamping()

    def close(self) -> None:
        """Close every connection; what is under way is not counted any more."""
        for connection in list(self._connections.values()):
            self._close(connection)
        self.epoll.close()
        if self._stamping is not None:
            self._stamping.close()

    # -- requests

    def ask(self, due: Nanoseconds, count: int, measured: bool) -> None:
        """Take up some requests due together: send each on the connection used last, else on a new one."""
        clock, idle, request, size = time.time_ns, self._idle, self._request, self._size
        self.in_flight += count
        tally = self._timeline.current
        delayed = tally.dispatch_delay.add
        if measured:
            tally.sent += count
        for _ in range(count):
            started = clock()
            if measured:
                delayed(started - due)
            while idle:
                connection = idle.pop()
                if connection.state == IDLE:
                    break
            else:
                self._connect(due, started, measured)
                continue
            connection.due, connection.started, connection.measured = due, started, measured
            connection.state = ASKED
            try:
                sent = connection.send(request)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._end(connection, FAILURES.get(error.errno or 0, "reset"))
                continue
            if sent != size:
                connection.state = WAITING
                self._wait_to_send(connection, request[sent:])
        if self._again:
            self._ask_again()

    def _connect(self, due: Nanoseconds, started: Nanoseconds, measured: bool) -> None:
        order = self._order
        try:
            sock = socket.SocketType(order.family, _KIND)
        except OSError as error:
            self._failed(measured, FAILURES.get(error.errno or 0, "no_fd"))
            return
        try:
            if self._stamping is not None:
                sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if not self._new or self._size > 1000:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(order.address)
        except OSError as error:
            number = error.errno or errno.EIO
        if number and number != errno.EINPROGRESS:
            sock.close()
            self._failed(measured, FAILURES.get(number, "connect_refused"))
            return
        connection = self._opened(sock, due, started, measured=measured)
        self._connections[connection.fd] = connection
        # On loopback and bridges the handshake is over when connect returns, and a first
        # send tells so for the price of no extra wake-up.
        connection.connected = time.time_ns()
        try:
            count = connection.send(self._request)
        except BlockingIOError:
            self.pressing += 1
            self.epoll.register(connection.fd, _READ | _WRITE)
            return
        except OSError as error:
            connection.state = WAITING
            self._end(connection, FAILURES.get(error.errno or 0, "reset"))
            return
        connection.state = WAITING
        self._count_connect(connection)
        self.epoll.register(connection.fd, _READ)
        if count != self._size:
            self._wait_to_send(connection, self._request[count:])

    def _opened(
        self, sock: socket.SocketType, due: Nanoseconds, started: Nanoseconds, *, measured: bool
    ) -> Connection:
        """What a socket becomes."""
        return Connection(sock, due, started, measured=measured)

    def _connected(self, connection: Connection) -> None:
        """The handshake has ended, well or badly."""
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._end(connection, FAILURES.get(number, "connect_refused"))
            return
        self.pressing -= 1
        connection.connected = time.time_ns()
        connection.state = WAITING
        self._count_connect(connection)
        self.epoll.modify(connection.fd, _READ)
        self._send(connection, self._request)

    def _count_connect(self, connection: Connection) -> None:
        """Now and then, put our connect time next to the kernel's."""
        self._connects += 1
        if self._connects % _CHECK_EVERY == 0 and len(self.handshakes) < _CHECKS:
            ours = connection.connected - connection.started
            self.handshakes.append((ours, round_trip_ns(connection.sock)))

    def _send(self, connection: Connection, data: bytes) -> None:
        try:
            count = connection.send(data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._end(connection, FAILURES.get(error.errno or 0, "reset"))
            return
        if count < len(data):
            self._wait_to_send(connection, data[count:])
        elif connection.unsent:
            connection.unsent = b""
            self.pressing -= 1
            self.epoll.modify(connection.fd, _READ)

    def _wait_to_send(self, connection: Connection, rest: bytes) -> None:
        if not connection.unsent:
            self.pressing += 1
            self.epoll.modify(connection.fd, _READ | _WRITE)
        connection.unsent = rest

    # -- answers

    def attend(self, patience: Seconds) -> None:
        """Read from the connections that have something to say, or that come to it in that time."""
        events = self.epoll.poll(patience)
        if not events:
            return
        connections, buffer, heads = self._connections, self._buffer, self._heads
        head, usual, longest = heads.head, heads.count if heads.plain else -1, self._timeout_ns
        timeline = self._timeline
        tally, begins, ends = timeline.current, timeline.begins_ns, timeline.ends_ns
        whole, responded, free = tally.whole.add, tally.response_time.add, self._idle.append
        completed = succeeded = 0
        for fd, mask in events:
            connection = connections.get(fd)
            if connection is None:
                continue
            if connection.state != ASKED or mask != _IN:
                self._turn(connection, mask)
                continue
            # From here on nearly every answer: whole, in one piece, on a kept connection, and like the
            # last one. What `_received` and `_answered` do is done here without a call.
            try:
                count, ancillary, _, _ = connection.receive(self._buffers, STAMP_SPACE)
            except OSError as error:
                self._unreadable(connection, error)
                continue
            if count == usual and ancillary and buffer.startswith(head):
                seconds, nanoseconds = unpack_stamp(ancillary[0][2])
                stamp = seconds * NS_PER_S + nanoseconds
                duration = stamp - connection.started
                if begins <= stamp < ends and duration <= longest:
                    completed += 1
                    if connection.measured:
                        succeeded += 1
                        whole(duration)
                        responded(stamp - connection.due)
                    connection.state = IDLE
                    free(connection)
                    continue
            connection.state = WAITING
            self._received(connection, count, ancillary, mask)
        tally.completed += completed
        tally.succeeded += succeeded
        self.in_flight -= completed
        if self._again:
            self._ask_again()

    def _turn(self, connection: Connection, mask: int) -> None:
        """Anything but an answer of the most common kind."""
        if connection.state == CONNECTING:
            self._connected(connection)
        elif connection.state not in _EXPECTING:
            # An idle or answered connection that says anything is of no more use.
            self._close(connection)
        else:
            if connection.unsent:
                self._send(connection, connection.unsent)
            if mask & ~_WRITE and connection.state in _EXPECTING:
                self._read(connection, mask & ~_WRITE)

    def _read(self, connection: Connection, mask: int) -> None:
        connection.state = WAITING
        try:
            count, ancillary, _, _ = connection.receive(self._buffers, STAMP_SPACE)
        except OSError as error:
            self._unreadable(connection, error)
        else:
            self._received(connection, count, ancillary, mask)

    def _received(self, connection: Connection, count: int, ancillary: Ancillary, mask: int) -> None:
        """Bytes have come, the first of an answer or more of it, or the peer's end."""
        if ancillary:
            seconds, nanoseconds = unpack_stamp(ancillary[0][2])
            stamp = seconds * NS_PER_S + nanoseconds
        else:
            stamp = time.time_ns()
            self._count_unstamped(count)
        heads = self._heads
        if connection.answer is None and heads.find(self._buffer, count):
            found = not self._needle or self._buffer.find(self._needle, len(heads.head), count) >= 0
            self._answered(connection, heads.status, stamp, stamp, found, heads.keep, mask)
        else:
            self._read_slowly(connection, count, stamp, mask)

    def _unreadable(self, connection: Connection, error: OSError) -> None:
        number = error.errno or 0
        if number != errno.EAGAIN:
            self._end(connection, "timeout" if number == errno.ETIMEDOUT else FAILURES.get(number, "reset"))

    def _count_unstamped(self, count: int) -> None:
        """A read of something without a stamp: from now on, read at once."""
        if count:
            self.pressing += not self.unstamped
            self.unstamped += 1

    def _read_slowly(self, connection: Connection, count: int, stamp: Nanoseconds, mask: int) -> None:
        """Take in an answer unlike those before it, or the next piece of one."""
        answer = connection.answer
        first = answer is None
        if answer is None:
            if not count:
                self._end(connection, "closed_early")
                return
            answer = connection.answer = Answer(head_only=self._order.head, needle=self._needle)
            answer.first_ns = stamp
        if not count:
            if answer.close():
                self._answered(
                    connection, answer.status, answer.first_ns, answer.last_ns, answer.found, False, _GONE
                )
            else:
                self._end(connection, "closed_early")
            return
        try:
            answer.feed(self._view[:count])
        except ProtocolFault:
            self._end(connection, "protocol")
            return
        answer.last_ns = stamp
        if answer.complete:
            if first:
                self._heads.remember(answer, self._buffer, count)
            self._answered(
                connection, answer.status, answer.first_ns, stamp, answer.found, answer.keep_alive, mask
            )
        elif count >= _LARGE_BYTES and not self._heads.large:
            self._heads.large = True
            self.pressing += 1

    def _answered(
        self,
        connection: Connection,
        status: int,
        first: Nanoseconds,
        done: Nanoseconds,
        found: bool,
        keep: bool,
        mask: int,
    ) -> None:
        """The last byte has arrived: count it, and keep or close the connection."""
        timeline = self._timeline
        tally = timeline.current
        if not timeline.begins_ns <= done < timeline.ends_ns:
            tally = timeline.at(done)
        started = connection.started
        failure = ""
        if done - started > self._timeout_ns:
            failure = "timeout"
        elif status not in self._good:
            failure = "bad_status"
        elif not found:
            failure = "bad_body"
        else:
            tally.completed += 1
            if connection.measured:
                tally.succeeded += 1
                if not connection.reused:
                    started = self._count_new(tally, connection)
                if first == done:
                    tally.whole.add(done - started)
                else:
                    tally.duration.add(done - started)
                    tally.first_byte.add(first - started)
                tally.response_time.add(done - connection.due)
        if failure and connection.measured:
            tally.failures[failure] += 1
        self.in_flight -= 1
        self._set_free(connection, done, keep, mask)

    def _count_new(self, tally: Tally, connection: Connection) -> Nanoseconds:
        """Count what it took to open the connection of a good answer; returns when it was ready."""
        tally.connect.add(connection.connected - connection.started)
        return connection.connected

    def _set_free(self, connection: Connection, done: Nanoseconds, keep: bool, mask: int) -> None:
        """Keep a connection whose answer is whole, or see it closed."""
        if connection.answer is not None:
            connection.answer.release()
            connection.answer = None
        if mask & _GONE or connection.unsent:
            self._close(connection)
        elif self._new or not keep:
            self._linger(connection, done)
        else:
            connection.state = IDLE
            connection.reused = True
            self._idle.append(connection)

    def _linger(self, connection: Connection, done: Nanoseconds) -> None:
        """Wait for the peer to close first: that leaves TIME_WAIT, and with it the port, to the peer."""
        connection.state = LINGERING
        connection.started = done
        self._lingering.append(connection)
        if len(self._lingering) > self._order.max_in_flight:
            self._stop_lingering()

    def _stop_lingering(self) -> None:
        connection = self._lingering.popleft()
        if connection.state == LINGERING:
            self.closed_first += 1
            self._close(connection)

    # -- ends

    def _end(self, connection: Connection, failure: str) -> None:
        """A request has failed, and with it its connection.

        A kept connection that the server closed before it saw the request says nothing about
        the request: it is sent once more on a new connection, as browsers do (RFC 9112, 9.3.1).
        """
        stale = connection.reused and connection.answer is None and failure in {"reset", "closed_early"}
        if stale and self._order.resend:
            self._again.append(connection)
        else:
            self._failed(connection.measured, failure)
        self._close(connection)

    def _failed(self, measured: bool, failure: str) -> None:
        if measured:
            self._timeline.current.failures[failure] += 1
        self.in_flight -= 1

    def _ask_again(self) -> None:
        """Send on new connections what was sent to closed ones."""
        again, self._again = self._again, []
        self.resent += len(again)
        for connection in again:
            self._connect(connection.due, connection.started, connection.measured)

    def _close(self, connection: Connection) -> None:
        if connection.state == CLOSED:
            return
        if connection.state == CONNECTING or connection.unsent:
            self.pressing -= 1
        connection.state = CLOSED
        if connection.answer is not None:
            connection.answer.release()
            connection.answer = None
        del self._connections[connection.fd]
        connection.sock.close()

    def end_overdue(self, now: Nanoseconds) -> None:
        """End what took longer than the time-out, and connections that wait for the peer to close."""
        while self._lingering and (
            self._lingering[0].state == CLOSED or self._lingering[0].started < now - NS_PER_S
        ):
            self._stop_lingering()
        oldest = now - self._timeout_ns
        for connection in list(self._connections.values()):
            if connection.started <= oldest and connection.state in {CONNECTING, *_EXPECTING}:
                self._end(connection, "connect_timeout" if connection.state == CONNECTING else "timeout")
