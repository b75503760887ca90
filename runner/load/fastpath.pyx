# cython: language_level=3, cdivision=True
"""The hot loops of `Exchange` for plain HTTP, compiled; `Exchange` documents what they do.

Optional. Without it (no C compiler, or LOADPROOF_NO_EXTENSIONS), `Exchange` does the same work for more CPU
per request. C code calls send, recvmsg and the clock, and holds a connection's numbers and the counts of each
request of the mix; `hand_over` adds these to what Python code counts.
"""

cimport cython
from cpython.array cimport array
from libc.errno cimport EAGAIN, errno
from libc.string cimport memcmp, memset

import os
from itertools import islice

from runner.load.connection import SENT as _SENT
from runner.load.connection import CONNECTING
from runner.load.connection import IDLE as _IDLE
from runner.load.connection import SO_TIMESTAMPNS as _SO_TIMESTAMPNS
from runner.load.connection import WAITING as _WAITING
from runner.load.exchange import Exchange
from runner.core.mix import order as mix_order
from runner.load.tally import FINE as _FINE

cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLLIN
    union epoll_data:
        int fd
    struct epoll_event:
        unsigned int events
        epoll_data data
    int epoll_wait(int fd, epoll_event *ready, int max_events, int timeout_ms)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_NOSIGNAL
        SOL_SOCKET
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        size_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        int cmsg_level
        int cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *header)
    unsigned char *CMSG_DATA(cmsghdr *control)
    ssize_t recvmsg(int fd, msghdr *header, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)

cdef extern from "<time.h>" nogil:
    enum:
        CLOCK_MONOTONIC
        CLOCK_REALTIME
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *instant)

cdef int SENT = _SENT
cdef int IDLE = _IDLE
cdef int WAITING = _WAITING
cdef int STAMPED = _SO_TIMESTAMPNS

cdef double MAX_PATIENCE = 0.1

cdef enum:
    CONTROL_WORDS = 8
    FINE = 2048
    AHEAD = 1024
    MAX_AT_ONCE = 1024
    HALF_US = 500
    NS_PER_US = 1000


assert FINE == _FINE  # an array in C needs a constant


cdef inline long long nanoseconds(const timespec *instant) noexcept nogil:
    return instant.tv_sec * 1_000_000_000LL + instant.tv_nsec


cdef inline long long now(int clock = CLOCK_REALTIME) noexcept nogil:
    cdef timespec instant
    clock_gettime(clock, &instant)
    return nanoseconds(&instant)


cdef struct Backlog:
    long long beginning, fastest_first, first_due, first
    long long n
    double x, y, xx, xy, yy


cdef inline void count_response(Backlog *backlog, long long due_ns, long long response_time_ns) noexcept nogil:
    """What `runner.load.backlog.Backlog` adds for a successful request."""
    cdef double x = due_ns / 1e9, y = response_time_ns / 1e9
    backlog.n += 1
    backlog.x += x
    backlog.y += y
    backlog.xx += x * x
    backlog.xy += x * y
    backlog.yy += y * y
    if due_ns < backlog.beginning:
        if backlog.fastest_first < 0 or response_time_ns < backlog.fastest_first:
            backlog.fastest_first = response_time_ns
    elif due_ns < backlog.first_due:
        backlog.first_due = due_ns
        backlog.first = response_time_ns


@cython.final
cdef class Latencies:
    """Values of one kind in the current second; see `runner.load.tally.Latency`."""

    cdef object latency
    cdef list values
    cdef unsigned int bins[FINE]
    cdef long long total_ns, max_ns

    cdef inline int add(self, long long value_ns) except -1:
        cdef long long us = (value_ns + HALF_US) // NS_PER_US
        if value_ns < 0 or us >= FINE:
            self.values.append(value_ns)
            return 0
        self.bins[us] += 1
        self.total_ns += value_ns
        self.max_ns = max(self.max_ns, value_ns)
        return 0

    cdef bind(self, latency):
        """Begin to count for another second."""
        self.latency, self.values = latency, latency.values

    cdef hand_over(self):
        """Add what was counted to the second."""
        cdef int us
        cdef dict counts = {}
        for us in range(FINE):
            if self.bins[us]:
                counts[us] = self.bins[us]
        if counts:
            self.latency.count(counts, self.total_ns, self.max_ns)
            memset(self.bins, 0, sizeof(self.bins))
            self.total_ns = self.max_ns = 0


@cython.final
cdef class FastPart:
    """A `runner.load.part.Part`, and what is counted of it in the current second until `hand_over`.

    Attributes:
        usual: Length of a whole response that begins with `head` and is successful; -1 if there is none.
    """

    cdef object part, render, tally
    cdef bytes content, head
    cdef const char *head_data
    cdef ssize_t head_size, usual
    cdef long long scheduled, sent, completed, succeeded
    cdef Latencies delays, durations, response_times
    cdef Backlog grown

    def __init__(self, part):
        self.part, self.render, self.content = part, part.render, part.content
        self.delays, self.durations, self.response_times = Latencies(), Latencies(), Latencies()
        self.follow_heads()
        self.begin_backlog()

    cdef begin_backlog(self):
        backlog = self.part.backlog
        memset(&self.grown, 0, sizeof(self.grown))
        self.grown.beginning = backlog.beginning_ns
        self.grown.fastest_first = backlog.fastest_first_ns
        self.grown.first_due, self.grown.first = backlog.first

    cdef follow_heads(self):
        """Take over the head seen last."""
        heads = self.part.heads
        if heads.head is not self.head or self.usual < 0:
            self.head = heads.head
            self.head_data, self.head_size = self.head, len(self.head)
            self.usual = heads.count if heads.plain else -1

    cdef bind(self, tally):
        """Begin to count for another second."""
        self.tally = tally
        self.delays.bind(tally.dispatch_delay)
        self.durations.bind(tally.whole)
        self.response_times.bind(tally.response_time)

    cdef hand_over(self):
        """Add it to what Python code counted."""
        if not (self.sent or self.completed):
            return
        tally, backlog = self.tally, self.part.backlog
        tally.scheduled += self.scheduled
        tally.sent += self.sent
        tally.completed += self.completed
        tally.succeeded += self.succeeded
        self.scheduled = self.sent = self.completed = self.succeeded = 0
        self.delays.hand_over()
        self.durations.hand_over()
        self.response_times.hand_over()
        if self.grown.n:
            backlog.add(self.grown.n, self.grown.x, self.grown.y, self.grown.xx, self.grown.xy, self.grown.yy)
            known, mine = backlog.fastest_first_ns, self.grown.fastest_first
            backlog.fastest_first_ns = max(known, mine) if min(known, mine) < 0 else min(known, mine)
            backlog.first = min(backlog.first, (self.grown.first_due, self.grown.first))
            self.begin_backlog()


@cython.final
cdef class FastConnection:
    """`runner.load.connection.Connection` with its numbers as C variables."""

    cdef public object sock, send, receive, response, unsent, content
    cdef FastPart counts
    cdef public int fd, state, user
    cdef public bint measured, reused
    cdef public long long due, started, connected

    def __init__(self, sock, FastPart counts, content, due, started, *, measured, user):
        self.sock = sock
        self.counts, self.content = counts, content
        self.fd = sock.fileno()
        self.send = sock.send
        self.receive = sock.recvmsg_into
        self.state = CONNECTING
        self.measured = measured
        self.due, self.started, self.connected = due, started, 0
        self.user = user
        self.response = None
        self.unsent = b""

    @property
    def part(self):
        """The request that was sent last."""
        return self.counts.part


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
        cdef int timeout_ms = <int>(patience * 1000), events, index
        if timeout_ms:
            with nogil:
                events = epoll_wait(state.epoll_fd, ready, MAX_AT_ONCE, timeout_ms)
        else:
            events = epoll_wait(state.epoll_fd, ready, MAX_AT_ONCE, 0)
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
            if stamped != NULL and count == part.usual and memcmp(data, part.head_data, part.head_size) == 0:
                stamp = nanoseconds(stamped)
                duration = stamp - connection.started
                if state.begins <= stamp < state.ends and duration <= state.longest:
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


cdef inline int send_on(exchange, FastConnection connection, FastPart part, bytes request) except -1:
    """See `Exchange._send_on`."""
    cdef const char *data = request
    cdef ssize_t size = len(request), sent
    cdef int number
    connection.counts = part
    connection.content = request
    connection.state = SENT
    sent = send(connection.fd, data, size, MSG_NOSIGNAL)
    if sent < 0:
        number = errno
        if number != EAGAIN:
            exchange._not_accepted(connection, number)
            return 0
        sent = 0
    if sent != size:
        connection.state = WAITING
        exchange._wait_to_send(connection, request[sent:])
    return 0


cdef inline FastConnection next_idle(list idle):
    """Return the connection used last that is still open, None if there is none."""
    cdef FastConnection connection
    while idle:
        connection = idle.pop()
        if connection.state == IDLE:
            return connection
    return None


cdef inline ssize_t receive(
    int fd, char *data, size_t size, size_t *control, const timespec **stamped
) noexcept nogil:
    """Read once; `stamped` becomes the kernel's receive timestamp, in `control`, or NULL."""
    cdef iovec into = iovec(iov_base=data, iov_len=size)
    cdef msghdr header = msghdr(
        msg_name=NULL, msg_namelen=0, msg_iov=&into, msg_iovlen=1,
        msg_control=control, msg_controllen=CONTROL_WORDS * sizeof(size_t), msg_flags=0,
    )
    cdef ssize_t count = recvmsg(fd, &header, 0)
    cdef cmsghdr *control_message = CMSG_FIRSTHDR(&header) if count >= 0 else NULL
    stamped[0] = NULL
    if control_message != NULL and control_message.cmsg_level == SOL_SOCKET and control_message.cmsg_type == STAMPED:
        stamped[0] = <const timespec *>CMSG_DATA(control_message)
    return count


cdef list ancillary(const timespec *stamped):
    """Return what `socket.recvmsg_into` would."""
    if stamped == NULL:
        return []
    return [(SOL_SOCKET, STAMPED, (<const char *>stamped)[: sizeof(timespec)])]
