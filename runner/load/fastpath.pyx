# cython: language_level=3, cdivision=True
"""The two hot loops of `Exchange` for plain HTTP, compiled; `Exchange` documents what they do.

Optional. Without it (no C compiler, or LOADPROOF_NO_EXTENSIONS), `Exchange` does the same work for more CPU
per request. Only the way to the kernel differs: C code calls send, recvmsg and the clock, and holds a
connection's numbers.
"""

from cpython.array cimport array
from libc.errno cimport EAGAIN, errno
from libc.string cimport memcmp, memset

import os

from runner.load.connection import SENT as _SENT
from runner.load.connection import CONNECTING
from runner.load.connection import IDLE as _IDLE
from runner.load.connection import SO_TIMESTAMPNS as _SO_TIMESTAMPNS
from runner.load.connection import WAITING as _WAITING
from runner.load.exchange import Exchange
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
        CLOCK_REALTIME
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *instant)

cdef int SENT = _SENT
cdef int IDLE = _IDLE
cdef int WAITING = _WAITING
cdef int FINE = _FINE
cdef int STAMPED = _SO_TIMESTAMPNS

cdef enum:
    CONTROL_WORDS = 8
    MAX_AT_ONCE = 1024
    HALF_US = 500
    NS_PER_US = 1000


cdef inline long long nanoseconds(const timespec *instant) noexcept nogil:
    return instant.tv_sec * 1_000_000_000LL + instant.tv_nsec


cdef inline long long now() noexcept nogil:
    cdef timespec instant
    clock_gettime(CLOCK_REALTIME, &instant)
    return nanoseconds(&instant)


cdef struct Latency:
    unsigned long long *bins
    long long total_ns
    long long max_ns


cdef inline void begin(Latency *latency, array bins) noexcept:
    latency.bins = bins.data.as_ulonglongs
    latency.total_ns = latency.max_ns = 0


cdef inline int add(Latency *latency, list values, long long value_ns) except -1:
    """As `runner.load.tally.Latency.add`."""
    cdef long long us = (value_ns + HALF_US) // NS_PER_US
    if value_ns < 0 or us >= FINE:
        values.append(value_ns)
        return 0
    latency.bins[us] += 1
    latency.total_ns += value_ns
    latency.max_ns = max(latency.max_ns, value_ns)
    return 0


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


cdef class FastPart:
    """What is counted of a `runner.load.part.Part` until the end of the stage."""

    cdef object part
    cdef Backlog grown

    def __init__(self, part):
        self.part = part
        memset(&self.grown, 0, sizeof(self.grown))
        self.grown.beginning = part.backlog.beginning_ns
        self.grown.fastest_first = part.backlog.fastest_first_ns
        self.grown.first_due, self.grown.first = part.backlog.first

    cdef hand_over(self):
        """Add it to what Python code counted."""
        backlog = self.part.backlog
        backlog.add(self.grown.n, self.grown.x, self.grown.y, self.grown.xx, self.grown.xy, self.grown.yy)
        if self.grown.fastest_first >= 0:
            known = backlog.fastest_first_ns
            mine = self.grown.fastest_first
            backlog.fastest_first_ns = mine if known < 0 else min(known, mine)
        backlog.first = min(backlog.first, (self.grown.first_due, self.grown.first))


cdef inline int record(object latency, long long value_ns) except -1:
    """Add one value to a `runner.load.tally.Latency`."""
    cdef Latency one
    begin(&one, latency.bins())
    add(&one, latency.values, value_ns)
    latency.total(one.total_ns, one.max_ns)
    return 0


cdef class FastConnection:
    """`runner.load.connection.Connection` with its numbers as C variables."""

    cdef public object sock, send, receive, response, unsent, part, content
    cdef public int fd, state
    cdef public bint measured, reused
    cdef public long long due, started, connected

    def __init__(self, sock, part, content, due, started, *, measured):
        self.sock = sock
        self.part, self.content = part, content
        self.fd = sock.fileno()
        self.send = sock.send
        self.receive = sock.recvmsg_into
        self.state = CONNECTING
        self.measured = measured
        self.due, self.started, self.connected = due, started, 0
        self.response = None
        self.unsent = b""


class FastExchange(Exchange):
    """`Exchange` over plain TCP with less CPU.

    Args:
        order: As for `Exchange`.
        timeline: Likewise.
    """

    def __init__(self, order, timeline):
        super().__init__(order, timeline)
        self._epoll_fd = self.epoll.fileno()
        self._fast_parts = [FastPart(part) for part in self.parts]

    def finish(self):
        """See `Exchange.finish`."""
        cdef FastPart fast
        for fast in self._fast_parts:
            fast.hand_over()

    def send_due(self, long long due, int count, bint measured):
        """See `Exchange.send_due`."""
        cdef list idle = self._idle
        cdef bint mix = self._is_mix
        part = self.parts[0]
        cdef bint varies = mix or part.render is not None
        cdef bytes request = part.content
        cdef const char *data = request
        cdef ssize_t size = len(request), sent
        cdef long long started
        cdef int number
        cdef Latency delays
        cdef FastConnection connection
        self.in_flight += count
        tallies = self._timeline.current.parts
        tally = tallies[0]
        cdef list values = tally.dispatch_delay.values
        begin(&delays, tally.dispatch_delay.bins())
        if measured and not mix:
            tally.sent += count
        for _ in range(count):
            if varies:
                part, arrival = next(self._in_turn)
                request = part.content if part.render is None else part.render(arrival)
                data = request
                size = len(request)
            started = now()
            if mix:
                if measured:
                    other = tallies[part.index]
                    other.scheduled += 1
                    other.sent += 1
                    record(other.dispatch_delay, started - due)
            elif measured:
                add(&delays, values, started - due)
            connection = next_idle(idle)
            if connection is None:
                self._connect(part, request, due, started, measured)
                continue
            connection.part = part
            connection.content = request
            connection.due, connection.started, connection.measured = due, started, measured
            connection.state = SENT
            sent = send(connection.fd, data, size, MSG_NOSIGNAL)
            if sent < 0:
                number = errno
                if number != EAGAIN:
                    self._not_accepted(connection, number)
                    continue
                sent = 0
            if sent != size:
                connection.state = WAITING
                self._wait_to_send(connection, request[sent:])
        tally.dispatch_delay.total(delays.total_ns, delays.max_ns)
        if self._resends:
            self._resend()

    def poll(self, double patience):
        """See `Exchange.poll`."""
        cdef epoll_event ready[MAX_AT_ONCE]
        cdef int epoll_fd = self._epoll_fd, timeout_ms = <int>(patience * 1000), events, index
        if timeout_ms:
            with nogil:
                events = epoll_wait(epoll_fd, ready, MAX_AT_ONCE, timeout_ms)
        else:
            events = epoll_wait(epoll_fd, ready, MAX_AT_ONCE, 0)
        if events <= 0:
            return
        cdef dict connections = self._connections
        cdef bint mix = self._is_mix
        heads, timeline = self.parts[0].heads, self._timeline
        tallies = timeline.current.parts
        tally = tallies[0]
        cdef long long begins = timeline.begins_ns, ends = timeline.ends_ns, longest = self._timeout_ns
        cdef long long stamp, duration, first = 0
        cdef Latency durations, response_times
        cdef list fast_parts = self._fast_parts
        cdef FastPart fast = fast_parts[0]
        cdef int place
        cdef long long measure = timeline.measure_ns, end = timeline.end_ns
        begin(&durations, tally.whole.bins())
        begin(&response_times, tally.response_time.bins())
        cdef list whole = tally.whole.values, responded = tally.response_time.values, idle = self._idle
        cdef bytes head = heads.head
        cdef const char *head_data = head
        cdef ssize_t head_size = len(head), usual = heads.count if heads.plain else -1, count
        cdef bytearray buffer = self._buffer
        cdef char *data = buffer
        cdef ssize_t size = len(buffer)
        cdef int completed = 0, succeeded = 0, number
        cdef size_t control[CONTROL_WORDS]
        cdef const timespec *stamped
        cdef FastConnection connection
        for index in range(events):
            connection = connections.get(ready[index].data.fd)
            if connection is None:
                continue
            if connection.state != SENT or ready[index].events != EPOLLIN:
                self._handle(connection, ready[index].events)
                continue
            count = receive(connection.fd, data, size, control, &stamped)
            if count < 0:
                number = errno
                self._read_failed(connection, OSError(number, os.strerror(number)))
                continue
            if mix:
                part = connection.part
                heads = part.heads
                head = heads.head
                head_data = head
                head_size = len(head)
                usual = heads.count if heads.plain else -1
            if stamped != NULL and count == usual and memcmp(data, head_data, head_size) == 0:
                stamp = nanoseconds(stamped)
                duration = stamp - connection.started
                if begins <= stamp < ends and duration <= longest:
                    if not completed:
                        first = stamp
                    completed += 1
                    if mix:
                        place = part.index
                        fast = fast_parts[place]
                        other = tallies[place]
                        other.completed += 1
                    if connection.measured:
                        if mix:
                            other.succeeded += 1
                            record(other.whole, duration)
                            record(other.response_time, stamp - connection.due)
                        else:
                            succeeded += 1
                            add(&durations, whole, duration)
                            add(&response_times, responded, stamp - connection.due)
                        count_response(&fast.grown, connection.due - measure, stamp - connection.due)
                        if stamp >= end:
                            fast.part.backlog.late.add(stamp - end)
                    connection.state = IDLE
                    idle.append(connection)
                    continue
            connection.state = WAITING
            self._received(connection, count, ancillary(stamped), ready[index].events)
        if completed:
            if not mix:
                tally.completed += completed
                tally.succeeded += succeeded
                tally.whole.total(durations.total_ns, durations.max_ns)
                tally.response_time.total(response_times.total_ns, response_times.max_ns)
            self.in_flight -= completed
            self.freed_ns = first
        if self._resends:
            self._resend()

    def _new_connection(self, sock, part, content, due, started, *, measured):
        return FastConnection(sock, part, content, due, started, measured=measured)


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
