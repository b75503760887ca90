# cython: language_level=3, cdivision=True
"""What the compiled exchanges share: calls of the kernel, connections, and what is counted until `hand_over`."""

cimport cython
from libc.errno cimport EAGAIN, errno
from libc.string cimport memcmp

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

cdef enum:
    IDLE = 0
    SENT = 2
    WAITING = 3
    STAMPED = 35
    CONTROL_WORDS = 8
    FINE = 2048
    HALF_US = 500
    NS_PER_US = 1000
    MAX_AT_ONCE = 1024


cdef inline long long nanoseconds(const timespec *instant) noexcept nogil:
    return instant.tv_sec * 1_000_000_000LL + instant.tv_nsec


cdef inline long long now(int clock = CLOCK_REALTIME) noexcept nogil:
    cdef timespec instant
    clock_gettime(clock, &instant)
    return nanoseconds(&instant)


cdef inline int wait_for_events(int epoll_fd, epoll_event *ready, double patience) noexcept:
    """Return how many of at most `MAX_AT_ONCE` events there are; waits up to `patience` seconds for one."""
    cdef int timeout_ms = <int>(patience * 1000), events
    if not timeout_ms:
        return epoll_wait(epoll_fd, ready, MAX_AT_ONCE, 0)
    with nogil:
        events = epoll_wait(epoll_fd, ready, MAX_AT_ONCE, timeout_ms)
    return events


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


cdef struct Head:
    int status
    ssize_t size, length
    bint sets_cookie


cdef bint parse_head(const char *data, ssize_t count, Head *head) noexcept nogil


@cython.final
cdef class Latencies:
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

    cdef bind(self, latency)
    cdef hand_over(self)


@cython.final
cdef class FastPart:
    cdef object part, render, tally, accepted
    cdef bytes content, head
    cdef const char *head_data
    cdef ssize_t head_size, usual
    cdef int index
    cdef long long scheduled, sent, completed, succeeded
    cdef Latencies delays, durations, response_times
    cdef Backlog grown

    cdef begin_backlog(self)
    cdef follow_heads(self)
    cdef bind(self, tally)
    cdef hand_over(self)


@cython.final
cdef class FastConnection:
    cdef public object sock, send, receive, response, unsent, content
    cdef FastPart counts
    cdef public int fd, state
    cdef public bint measured, reused
    cdef public long long user, due, started, connected


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


cdef inline bint is_usual(FastPart part, const char *data, ssize_t count) noexcept:
    """Return whether a response is complete, and like the last one that was successful."""
    return count == part.usual and memcmp(data, part.head_data, part.head_size) == 0


cdef inline bint is_simple(FastPart part, const char *data, ssize_t count, Head *head) noexcept:
    """Return whether a response is complete, of the simplest form, and has an acceptable status."""
    return parse_head(data, count, head) and head.status in part.accepted


cdef list ancillary(const timespec *stamped)
