"""The generator's loop: an absolute schedule in, answers stamped by the kernel out.

One thread, raw sockets, epoll. Arrivals leave when they are due. Answers carry the
kernel's own receive stamp (SO_TIMESTAMPNS), so reading them a moment later, in one go
with others, costs less and changes no latency.

This file is the hot path: it trades the house's short functions for fewer calls where
that was measured to matter.
"""

from __future__ import annotations

import errno
import math
import os
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from runner.load.alarm import Alarm
from runner.load.answers import Answer, Heads, ProtocolFault
from runner.load.order import WorkerOrder
from runner.load.tally import Tally
from runner.units import NS_PER_MS, NS_PER_S, NS_PER_US, Nanoseconds

_SO_TIMESTAMPNS: Final = 35
_STAMP: Final = struct.Struct("qq")
_STAMP_SPACE: Final = socket.CMSG_SPACE(_STAMP.size)
_BUFFER_BYTES: Final = 256 * 1024
_HOUSEKEEPING_NS: Final = 100 * NS_PER_MS
_STALL_NS: Final = 250 * NS_PER_MS
_IDLE, _CONNECTING, _WAITING, _LINGERING, _CLOSED = range(5)
_READ: Final = select.EPOLLIN | select.EPOLLRDHUP
_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

_FAILURES: Final = {
    errno.ECONNREFUSED: "connect_refused",
    errno.EHOSTUNREACH: "connect_refused",
    errno.ENETUNREACH: "connect_refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EADDRNOTAVAIL: "no_port",
    errno.EAGAIN: "no_port",
    errno.EMFILE: "no_fd",
    errno.ENFILE: "no_fd",
    errno.ENOBUFS: "no_fd",
    errno.ENOMEM: "no_fd",
}


class Connection:
    """One TCP connection and the request on it, if any."""

    __slots__ = (
        "answer",
        "connected",
        "due",
        "fd",
        "fresh",
        "measured",
        "sock",
        "started",
        "state",
        "unsent",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.state = _IDLE
        self.fresh = True
        self.measured = False
        self.due = self.started = self.connected = 0
        self.answer: Answer | None = None
        self.unsent: memoryview | None = None


class Loop:
    """Offers one worker's part of a stage.

    Args:
        order: What to offer.
        arrivals: When requests are due, in nanoseconds after the start.
        emit: Given every finished second.
    """

    def __init__(
        self, order: WorkerOrder, arrivals: Iterator[Nanoseconds], emit: Callable[[Tally], None]
    ) -> None:
        self.order = order
        self.unstamped = 0
        self.longest_stall_ns = 0
        self.clock_shift_ns = 0
        self._arrivals = arrivals
        self._emit = emit
        self._status = frozenset(order.status)
        self._needle = order.body_contains
        self._request = memoryview(order.request)
        self._timeout_ns = round(order.timeout * NS_PER_S)
        self._epoll = select.epoll()
        self._alarm = Alarm()
        self._epoll.register(self._alarm.fd, select.EPOLLIN | select.EPOLLET)
        self._connections: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._waiting: deque[Nanoseconds] = deque()
        self._in_flight = 0
        self._connecting = 0
        self._heads = Heads()
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._stamping = _keep_kernel_stamping()
        self._tally = self._previous = Tally(0)
        self._boundary = self._tally_start = 0
        self._measure_ns = self._end_ns = 0

    @property
    def in_flight(self) -> int:
        """Requests taken up and not ended."""
        return self._in_flight

    def run(self, start_ns: Nanoseconds, stopped: Callable[[], bool]) -> None:
        """Offer the whole schedule and wait for the last answers.

        Args:
            start_ns: When the first arrival is due, on CLOCK_MONOTONIC.
            stopped: Asked ten times a second whether to give up.
        """
        clock = time.time_ns
        offset = _clock_offset()
        start = start_ns + offset
        self._open_seconds(start)
        quantum = self.order.quantum_ns
        arrivals = self._arrivals
        poll = self._epoll.poll
        alarm = self._alarm
        connections = self._connections
        next_due = start + first if (first := next(arrivals, None)) is not None else None
        if quantum:
            alarm.every(start_ns, quantum)
        housekeeping = clock()
        armed: int | None = None
        looked_at = max(clock(), start)
        while True:
            now = clock()
            if now - looked_at > _STALL_NS:
                self.longest_stall_ns = max(self.longest_stall_ns, now - looked_at)
            looked_at = max(now, start)
            if now >= self._boundary:
                self._turn_seconds(now)
            while next_due is not None and next_due <= now:
                self._arrive(next_due)
                following = next(arrivals, None)
                next_due = start + following if following is not None else None
                now = now if quantum else clock()
            if self._waiting:
                self._serve_waiting()
            if now >= housekeeping:
                housekeeping = now + _HOUSEKEEPING_NS
                if stopped():
                    return
                self._keep_house(now)
                if next_due is None and self._finish(now):
                    return
                shift = _clock_offset() - offset
                if abs(shift) > NS_PER_US:
                    self.clock_shift_ns += abs(shift)
                    offset, start = offset + shift, start + shift
                    next_due = next_due + shift if next_due is not None else None
                    self._shift(shift)
            if next_due is None:
                if armed != -1:
                    alarm.stop()
                    armed = -1
                events = poll(0.01)
            elif quantum and not self._connecting and now >= start:
                alarm.wait()
                events = poll(0)
            else:
                if not quantum and next_due != armed:
                    alarm.at(next_due - offset)
                    armed = next_due
                events = poll(0.1)
            for fd, mask in events:
                connection = connections.get(fd)
                if connection is not None:
                    self._attend(connection, mask)

    def close(self) -> None:
        """Close every connection; what is under way is not counted any more."""
        for connection in list(self._connections.values()):
            self._close(connection)
        self._epoll.close()
        self._stamping.close()
        os.close(self._alarm.fd)

    # -- requests

    def _arrive(self, due: Nanoseconds) -> None:
        """A request is due: take it up, let it wait, or drop it."""
        measured = due >= self._measure_ns
        if measured:
            self._tally.scheduled += 1
        if self._in_flight < self.order.max_in_flight:
            self._take_up(due)
        elif self.order.when_full == "queue":
            self._waiting.append(due)
        elif measured:
            self._tally.dropped += 1

    def _serve_waiting(self) -> None:
        """Take up what waited for a free slot, oldest first."""
        while self._waiting and self._in_flight < self.order.max_in_flight:
            self._take_up(self._waiting.popleft())

    def _take_up(self, due: Nanoseconds) -> None:
        self._in_flight += 1
        started = time.time_ns()
        measured = due >= self._measure_ns
        if measured:
            self._tally.sent += 1
            self._tally.dispatch_delay.add(started - due)
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.state == _IDLE:
                connection.due, connection.started, connection.measured = due, started, measured
                connection.fresh = False
                connection.state = _WAITING
                self._send(connection, self._request)
                return
        self._connect(due, started, measured)

    def _connect(self, due: Nanoseconds, started: Nanoseconds, measured: bool) -> None:
        order = self.order
        try:
            sock = socket.socket(order.family, self._kind)
        except OSError as error:
            self._fail_unconnected(measured, _FAILURES.get(error.errno or 0, "no_fd"))
            return
        connection = Connection(sock)
        connection.due, connection.started, connection.measured = due, started, measured
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if not order.new_connections or len(self._request) > 1000:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = sock.connect_ex(order.address)
        except OSError as error:
            number = error.errno or errno.EIO
        if number and number != errno.EINPROGRESS:
            sock.close()
            self._fail_unconnected(measured, _FAILURES.get(number, "connect_refused"))
            return
        self._connections[connection.fd] = connection
        # On loopback and bridges the handshake is over when connect returns, and a first
        # send tells so for the price of no extra wake-up.
        connection.connected = time.time_ns()
        try:
            count = sock.send(self._request)
        except BlockingIOError:
            connection.state = _CONNECTING
            connection.connected = 0
            self._connecting += 1
            self._epoll.register(connection.fd, _READ | select.EPOLLOUT)
            return
        except OSError as error:
            self._end(connection, _FAILURES.get(error.errno or 0, "reset"))
            return
        connection.state = _WAITING
        if count == len(self._request):
            self._epoll.register(connection.fd, _READ)
        else:
            connection.unsent = self._request[count:]
            self._epoll.register(connection.fd, _READ | select.EPOLLOUT)

    def _connected(self, connection: Connection) -> None:
        """The handshake has ended, well or badly."""
        self._connecting -= 1
        number = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._end(connection, _FAILURES.get(number, "connect_refused"))
            return
        connection.connected = time.time_ns()
        connection.state = _WAITING
        self._epoll.modify(connection.fd, _READ)
        self._send(connection, self._request)

    def _send(self, connection: Connection, data: memoryview) -> None:
        try:
            count = connection.sock.send(data)
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._end(connection, _FAILURES.get(error.errno or 0, "reset"))
            return
        if count < len(data):
            self._epoll.modify(connection.fd, _READ | select.EPOLLOUT)
            connection.unsent = data[count:]
        elif connection.unsent is not None:
            self._epoll.modify(connection.fd, _READ)
            connection.unsent = None

    # -- answers

    def _attend(self, connection: Connection, mask: int) -> None:
        """A connection is ready for something."""
        state = connection.state
        if state == _WAITING:
            if mask & select.EPOLLOUT and connection.unsent is not None:
                self._send(connection, connection.unsent)
            if mask & ~select.EPOLLOUT and connection.state == _WAITING:
                self._receive(connection, mask)
        elif state == _CONNECTING:
            self._connected(connection)
        else:
            # An idle or answered connection that says anything is of no more use.
            self._close(connection)

    def _receive(self, connection: Connection, mask: int) -> None:
        try:
            count, ancillary, _, _ = connection.sock.recvmsg_into([self._buffer], _STAMP_SPACE)
        except BlockingIOError:
            return
        except OSError as error:
            number = error.errno or 0
            self._end(connection, "timeout" if number == errno.ETIMEDOUT else _FAILURES.get(number, "reset"))
            return
        if ancillary:
            seconds, nanoseconds = _STAMP.unpack(ancillary[0][2])
            stamp = seconds * NS_PER_S + nanoseconds
        else:
            stamp = time.time_ns()
            self.unstamped += bool(count)
        answer = connection.answer
        if answer is None and count:
            end = self._buffer.find(b"\r\n\r\n", 0, count) + 4
            known = self._heads.get(bytes(self._view[:end]))
            if known is not None and end + known[1] == count:
                found = not self._needle or self._buffer.find(self._needle, end, count) >= 0
                self._answered(connection, known[0], stamp, found=found, keep=known[2], gone=mask & _GONE)
                return
        self._read_slowly(connection, count, stamp, mask)

    def _read_slowly(self, connection: Connection, count: int, stamp: Nanoseconds, mask: int) -> None:
        """Take in an answer unlike those before it, or the next piece of one."""
        answer = connection.answer
        first = answer is None
        if answer is None:
            answer = Answer(head_only=self.order.head, needle=self._needle)
            connection.answer = answer
        if not count:
            if answer.close():
                self._answered(
                    connection, answer.status, answer.last_ns, found=answer.found, keep=False, gone=1
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
        if not answer.first_ns:
            answer.first_ns = stamp
        if answer.complete:
            if first and answer.length is not None and not self.order.head:
                self._remember(answer, count)
            self._answered(
                connection,
                answer.status,
                stamp,
                found=answer.found,
                keep=answer.keep_alive,
                gone=mask & _GONE,
            )

    def _remember(self, answer: Answer, count: int) -> None:
        end = self._buffer.find(b"\r\n\r\n", 0, count) + 4
        if answer.length is not None and end + answer.length == count:
            self._heads.remember(bytes(self._view[:end]), (answer.status, answer.length, answer.keep_alive))

    def _answered(
        self, connection: Connection, status: int, done: Nanoseconds, *, found: bool, keep: bool, gone: int
    ) -> None:
        """The last byte has arrived: count it, and keep or close the connection."""
        tally = self._tally if done >= self._tally_start else self._previous
        answer = connection.answer
        if status not in self._status:
            if connection.measured:
                tally.failures["bad_status"] += 1
        elif not found:
            if connection.measured:
                tally.failures["bad_body"] += 1
        else:
            tally.completed += 1
            if connection.measured:
                tally.succeeded += 1
                if connection.fresh:
                    began = connection.connected
                    tally.connect.add(began - connection.started)
                else:
                    began = connection.started
                tally.duration.add(done - began)
                tally.response_time.add(done - connection.due)
                tally.first_byte.add((answer.first_ns if answer is not None else done) - began)
        if answer is not None:
            answer.release()
            connection.answer = None
        self._in_flight -= 1
        if gone or connection.unsent is not None or (not keep and not self.order.new_connections):
            self._close(connection)
        elif self.order.new_connections:
            # Waiting for the peer to close first leaves TIME_WAIT, and with it the port, to the peer.
            connection.state = _LINGERING
            connection.started = done
        else:
            connection.state = _IDLE
            self._idle.append(connection)

    def _end(self, connection: Connection, failure: str) -> None:
        """A request has failed, and with it its connection."""
        if connection.measured:
            self._tally.failures[failure] += 1
        self._in_flight -= 1
        self._close(connection)

    def _fail_unconnected(self, measured: bool, failure: str) -> None:
        if measured:
            self._tally.failures[failure] += 1
        self._in_flight -= 1

    def _close(self, connection: Connection) -> None:
        if connection.state == _CLOSED:
            return
        connection.state = _CLOSED
        if connection.answer is not None:
            connection.answer.release()
            connection.answer = None
        del self._connections[connection.fd]
        connection.sock.close()

    # -- time

    def _open_seconds(self, start: Nanoseconds) -> None:
        """Lay the seconds so that index 0 begins with the measured window."""
        self._measure_ns = start + round(self.order.warmup * NS_PER_S)
        self._end_ns = self._measure_ns + round(self.order.duration * NS_PER_S)
        index = -math.ceil(self.order.warmup)
        self._tally = self._previous = Tally(index)
        self._tally_start = start
        self._boundary = self._start_of(index + 1)

    def _start_of(self, index: int) -> Nanoseconds:
        """When a second begins; the window's end begins one of its own."""
        instant = self._measure_ns + index * NS_PER_S
        length = math.ceil(self.order.duration)
        if index < length:
            return instant
        return self._end_ns + (index - length) * NS_PER_S

    def _turn_seconds(self, now: Nanoseconds) -> None:
        """Begin the seconds whose time has come; the one before stays open for late readings."""
        while now >= self._boundary:
            if self._previous is not self._tally:
                self._emit(self._previous)
            self._previous = self._tally
            self._tally = Tally(self._previous.index + 1)
            self._tally_start = self._boundary
            self._boundary = self._start_of(self._tally.index + 1)

    def _keep_house(self, now: Nanoseconds) -> None:
        """Ten times a second: turn seconds, end what took too long."""
        self._turn_seconds(now)
        if self._previous is not self._tally and now - self._tally_start > _HOUSEKEEPING_NS:
            self._emit(self._previous)
            self._previous = self._tally
        oldest, patience = now - self._timeout_ns, now - NS_PER_S
        for connection in list(self._connections.values()):
            if connection.state == _LINGERING and connection.started < patience:
                self._close(connection)
            elif connection.started > oldest:
                continue
            elif connection.state == _CONNECTING:
                self._connecting -= 1
                self._end(connection, "connect_timeout")
            elif connection.state == _WAITING:
                self._end(connection, "timeout")

    def _shift(self, shift: Nanoseconds) -> None:
        """The wall clock was stepped or slewed: move everything that is measured on it."""
        self._measure_ns += shift
        self._end_ns += shift
        self._boundary += shift
        self._tally_start += shift

    def _finish(self, now: Nanoseconds) -> bool:
        """Whether everything that was due has ended; gives up on waiting arrivals after the time-out."""
        if self._waiting and now > self._end_ns + self._timeout_ns:
            self._tally.dropped += sum(due >= self._measure_ns for due in self._waiting)
            self._waiting.clear()
        if self._in_flight or self._waiting or now < self._end_ns:
            return False
        if self._previous is not self._tally:
            self._emit(self._previous)
        self._emit(self._tally)
        return True


def _keep_kernel_stamping() -> socket.socket:
    """A socket that wants stamps: with none left on the host, the kernel stops stamping at all."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return sock


def _clock_offset() -> Nanoseconds:
    """CLOCK_REALTIME − CLOCK_MONOTONIC, from the tightest of a few readings."""
    best: tuple[int, int] | None = None
    for _ in range(5):
        before = time.monotonic_ns()
        real = time.time_ns()
        after = time.monotonic_ns()
        reading = (after - before, real - (before + after) // 2)
        best = min(best, reading) if best else reading
    assert best is not None
    return best[1]
