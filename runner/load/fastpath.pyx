# cython: language_level=3, cdivision=True, auto_pickle=False
"""The hot loops of `Exchange` for plain HTTP, compiled; `Exchange` documents what they do.

Optional. Without it (no C compiler, or LOADPROOF_NO_EXTENSIONS), `Exchange` does the same work for more CPU
per request. C code calls send, recvmsg and the clock, and holds a connection's numbers and the counts of each
request of the mix; `hand_over` adds these to what Python code counts.
"""

cimport cython
from cpython.array cimport array
from libc.errno cimport errno

import os
from itertools import islice

from runner.core.mix import order as mix_order
from runner.load.exchange import Exchange

from runner.load.fastcounts cimport (
    CLOCK_MONOTONIC, CONTROL_WORDS, EPOLLIN, IDLE, MAX_AT_ONCE, SENT, WAITING, FastConnection, FastPart, Head, ancillary,
    count_response, epoll_event, is_simple, is_usual, nanoseconds, now, receive, send_on, timespec, wait_for_events,
)

cdef double MAX_PATIENCE = 0.1

cdef enum:
    AHEAD = 1024


@cython.final
cdef class State:
    """What the hot loops need of an `Exchange`, as C variables.

    Args:
        exchange: Whose state it is.
        order: What the exchange offers.

    Attributes:
        is_mix: Whether there are several requests.
        varies: Whether two arrivals may have different bytes.
        ahead: The requests of the next arrivals in the open model.
        sent: How many requests each user has sent, in the closed model.
        until: Until when users may go on.
    """

    cdef object timeline, second, users, choices, coming
    cdef list parts, idle
    cdef dict connections
    cdef bytearray space
    cdef FastPart first
    cdef bint is_mix, varies, paced, measured
    cdef int epoll_fd, active, place
    cdef array ahead, sent, known
    cdef long long arrival, workers, most, period, until, longest, begins, ends, measure, end

    def __init__(self, exchange, order):
        self.timeline, self.users = exchange._timeline, exchange.users
        self.parts = [FastPart(part) for part in exchange.parts]
        self.first = self.parts[0]
        self.idle, self.connections, self.space = exchange._idle, exchange._connections, exchange._buffer
        self.epoll_fd, self.longest = exchange.epoll.fileno(), exchange._timeout_ns
        self.is_mix = len(self.parts) > 1
        self.varies = self.is_mix or self.first.render is not None
        self.paced = self.users is None
        self.arrival, self.workers = order.worker, order.workers
        self.coming = islice(mix_order([one.weight for one in order.requests]), order.worker, None, order.workers)
        self.ahead, self.place = array("H"), 0
        if not self.paced:
            self.sent, self.choices, self.most = self.users.sent, self.users.choices, self.users.most
            self.known, self.period = self.choices.known, self.choices.period

    cdef begin(self, exchange):
        """Follow the timeline and the loop."""
        timeline = self.timeline
        second = timeline.current
        if second is not self.second:
            self.hand_over()
            self.second = second
            for part, tally in zip(self.parts, second.parts):
                (<FastPart>part).bind(tally)
            self.measured = second.index >= 0
        self.begins, self.ends = timeline.begins_ns, timeline.ends_ns
        self.measure, self.end = timeline.measure_ns, timeline.end_ns
        if not self.paced:
            self.until, self.active = exchange.until_ns, self.users.active

    cdef hand_over(self):
        cdef FastPart part
        cdef long long scheduled = 0
        for part in self.parts:
            scheduled += part.scheduled
            part.hand_over()
        if self.is_mix and not self.paced and scheduled:  # in the open model the loop counts them
            self.second.scheduled += scheduled

    cdef inline FastPart next_part(self):
        """Return the request of this worker's next arrival in the open model, and count the arrival."""
        cdef FastPart part = self.first
        if self.is_mix:
            if self.place >= len(self.ahead):
                self.ahead, self.place = array("H", islice(self.coming, AHEAD)), 0
            part = <FastPart>self.parts[self.ahead.data.as_ushorts[self.place]]
            self.place += 1
        return part

    cdef inline FastPart part_of(self, long long place):
        """Return the request at any place of the mix's order."""
        place %= self.period
        if not self.is_mix:
            return self.first
        if place >= len(self.known):
            self.choices[place]  # computes it
        return <FastPart>self.parts[self.known.data.as_ushorts[place]]


class FastExchange(Exchange):
    """`Exchange` over plain TCP with less CPU.

    Args:
        order: As for `Exchange`.
        timeline: Likewise.
    """

    leaves_unfolded = False

    def __init__(self, order, timeline):
        super().__init__(order, timeline)
        self._state = State(self, order)

    def hand_over(self):
        """See `Exchange.hand_over`."""
        (<State>self._state).hand_over()

    def send_due(self, long long due, int count, bint measured):
        """See `Exchange.send_due`."""
        cdef State state = self._state
        cdef FastPart part
        cdef bytes request
        cdef long long started
        cdef FastConnection connection
        state.begin(self)
        self.in_flight += count
        for _ in range(count):
            part = state.next_part()
            request = part.content if part.render is None else part.render(state.arrival)
            state.arrival += state.workers
            started = now()
            if measured:
                part.scheduled += state.is_mix
                part.sent += 1
                part.delays.add(started - due)
            connection = next_idle(state.idle)
            if connection is None:
                self._connect(part.part, request, due, started, measured)
                continue
            connection.due, connection.started, connection.measured = due, started, measured
            send_on(self, connection, part, request)
        if self._resends:
            self._reconnect()

    def drop_due(self, int count, bint measured):
        """See `Exchange.drop_due`."""
        cdef State state = self._state
        cdef FastPart part
        tallies = self._timeline.current.parts
        for _ in range(count):
            part = state.next_part()
            state.arrival += state.workers
            if measured:
                tallies[part.part.index].scheduled += state.is_mix
                tallies[part.part.index].dropped += 1

    def send_next(self, FastConnection connection):
        """See `Exchange.send_next`."""
        cdef State state = self._state
        state.begin(self)
        self.in_flight += send_next(self, state, connection)

    def serve(self, long long until):
        """See `Exchange.serve`."""
        cdef long long begun = now(CLOCK_MONOTONIC), patience = until - now(), known = self.until_ns
        while now(CLOCK_MONOTONIC) - begun < patience and self.until_ns == known:
            self.poll(MAX_PATIENCE)

    def poll(self, double patience):
        """See `Exchange.poll`."""
        cdef State state = self._state
        cdef epoll_event ready[MAX_AT_ONCE]
        cdef int events = wait_for_events(state.epoll_fd, ready, patience), index
        if events <= 0:
            return
        state.begin(self)
        cdef dict connections = state.connections
        cdef char *data = state.space
        cdef ssize_t size = len(state.space), count
        cdef long long stamp, duration, first = 0
        cdef int completed = 0, sent = 0, number
        cdef size_t control[CONTROL_WORDS]
        cdef const timespec *stamped
        cdef Head head
        cdef FastConnection connection
        cdef FastPart part
        for index in range(events):
            connection = connections.get(ready[index].data.fd)
            if connection is None:
                continue
            part = connection.counts
            if connection.state != SENT or ready[index].events != EPOLLIN:
                self._handle(connection, ready[index].events)
                part.follow_heads()
                continue
            count = receive(connection.fd, data, size, control, &stamped)
            if count < 0:
                number = errno
                self._read_failed(connection, OSError(number, os.strerror(number)))
                continue
            if stamped != NULL and (is_usual(part, data, count) or is_simple(part, data, count, &head)):
                stamp = nanoseconds(stamped)
                duration = stamp - connection.started
                if state.begins <= stamp < state.ends and 0 <= duration <= state.longest:
                    if not completed:
                        first = stamp
                    completed += 1
                    part.completed += 1
                    if connection.measured:
                        part.succeeded += 1
                        part.durations.add(duration)
                        if state.paced:
                            count_response_time(state, connection, part, stamp)
                    connection.state = IDLE
                    if state.paced:
                        state.idle.append(connection)
                    else:
                        sent += send_next(self, state, connection)
                    continue
            connection.state = WAITING
            self._received(connection, count, ancillary(stamped), ready[index].events)
            part.follow_heads()
        if completed:
            self.in_flight += sent - completed
            self.freed_ns = first
        if self._resends or self._returning:
            self._reconnect()

    def _new_connection(self, sock, part, content, due, started, *, measured, user):
        counts = (<State>self._state).parts[part.index]
        return FastConnection(sock, counts, content, due, started, measured=measured, user=user)


cdef inline int count_response_time(State state, FastConnection connection, FastPart part, long long stamp) except -1:
    """Count what depends on when a successful request was due."""
    cdef long long response_time = stamp - connection.due
    part.response_times.add(response_time)
    count_response(&part.grown, connection.due - state.measure, response_time)
    if stamp >= state.end:
        part.part.backlog.late.add(stamp - state.end)
    return 0


cdef inline int send_next(exchange, State state, FastConnection connection) except -1:
    """Send the next request of a connection's user; returns how many were sent, 0 or 1."""
    cdef long long started = now(), before, arrival
    cdef FastPart part = state.first
    cdef bytes request = part.content
    if started >= state.until or connection.user >= state.active:
        state.idle.append(connection)
        return 0
    if state.varies:
        before = state.sent.data.as_longlongs[connection.user]
        arrival = before * state.most + connection.user
        state.sent.data.as_longlongs[connection.user] += 1
        part = state.part_of(before + connection.user)
        request = part.content
        if part.render is not None:
            request = part.render(arrival)
            started = now()
    if state.measured:
        part.scheduled += 1
        part.sent += 1
    connection.due, connection.started, connection.measured = started, started, state.measured
    send_on(exchange, connection, part, request)
    return 1


cdef inline FastConnection next_idle(list idle):
    """Return the connection used last that is still open, None if there is none."""
    cdef FastConnection connection
    while idle:
        connection = idle.pop()
        if connection.state == IDLE:
            return connection
    return None
