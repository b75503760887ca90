# cython: language_level=3, cdivision=True, auto_pickle=False
"""What the compiled exchanges share; see fastcounts.pxd."""

cimport cython
from libc.string cimport memcmp, memset

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

from runner.load import connection as _connection
from runner.load.tally import FINE as _FINE

cdef enum:
    FIRST_HEADER = 13
    MAX_SIMPLE_HEAD = 8192


# constants in C
assert FINE == _FINE
assert STAMPED == _connection.SO_TIMESTAMPNS
assert (IDLE, SENT, WAITING) == (_connection.IDLE, _connection.SENT, _connection.WAITING)


@cython.final
cdef class Latencies:
    """Values of one kind in the current second; see `runner.load.tally.Latency`."""

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
        accepted: Acceptable status codes, if a response of the simplest form needs no other check.
    """

    def __init__(self, part):
        self.part, self.render, self.content, self.index = part, part.render, part.content, part.index
        self.accepted = frozenset() if part.head_only else frozenset(part.heads.plain_statuses)
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

    def __init__(self, sock, FastPart counts, content, due, started, *, measured, user):
        self.sock = sock
        self.counts, self.content = counts, content
        self.fd = sock.fileno()
        self.send = sock.send
        self.receive = sock.recvmsg_into
        self.state = _connection.CONNECTING
        self.measured = measured
        self.due, self.started, self.connected = due, started, 0
        self.user = user
        self.response = None
        self.unsent = b""

    @property
    def part(self):
        """The request that was sent last."""
        return self.counts.part


cdef bint parse_head(const char *data, ssize_t count, Head *head) noexcept nogil:
    """Parse a whole response of the simplest form, which servers nearly always use; returns whether it has it.

    It begins with HTTP/1.1 and a status whose responses have a body. Headers are `Name: value` in printable
    ASCII. There is one Content-Length, which agrees with the bytes received. Nothing else frames the body, and
    the connection stays open. All other responses are for `runner.load.response_parser`.
    """
    cdef const char *at = data + FIRST_HEADER
    cdef const char *end = data + min(count, MAX_SIMPLE_HEAD)
    if count < FIRST_HEADER or memcmp(data, b"HTTP/1.1 ", 9) != 0:
        return False
    head.status = number_of(data + 9, 3)
    if not 200 <= head.status <= 599 or head.status == 204 or head.status == 304 or data[12] != c" ":
        return False
    head.length, head.sets_cookie = -1, False
    while at < end and is_printable(at[0]):
        at += 1
    while at + 4 <= end and at[0] == c"\r" and at[1] == c"\n":
        at += 2
        if at[0] == c"\r" and at[1] == c"\n":
            head.size = at + 2 - data
            return head.length >= 0 and head.size + head.length == count
        at = read_header(at, end, head)
        if at == NULL:
            return False
    return False


cdef const char *read_header(const char *name, const char *end, Head *head) noexcept nogil:
    """Read one header; returns where it ends, NULL if it is not of the simplest form or frames the body."""
    cdef const char *at = name
    cdef const char *value
    cdef ssize_t size, length
    while at < end and is_of_name(at[0]):
        at += 1
    size = at - name
    if not size or at + 2 >= end or at[0] != c":" or at[1] != c" " or at[2] == c" ":
        return NULL
    value = at = at + 2
    while at < end and is_printable(at[0]):
        at += 1
    length = at - value
    if not length or at[-1] == c" ":
        return NULL
    if size == 14 and strncasecmp(name, b"content-length", 14) == 0:
        if head.length >= 0 or length > 9:
            return NULL
        head.length = number_of(value, length)
        return at if head.length >= 0 else NULL
    if size == 10 and strncasecmp(name, b"set-cookie", 10) == 0:
        head.sets_cookie = True
    elif size == 10 and strncasecmp(name, b"connection", 10) == 0:
        return at if length == 10 and strncasecmp(value, b"keep-alive", 10) == 0 else NULL
    elif (
        (size == 7 and strncasecmp(name, b"upgrade", 7) == 0)
        or (size == 16 and strncasecmp(name, b"proxy-connection", 16) == 0)
        or (size == 17 and strncasecmp(name, b"transfer-encoding", 17) == 0)
    ):
        return NULL
    return at


cdef inline int number_of(const char *digits, ssize_t size) noexcept nogil:
    """Return a number of at most 9 digits; -1 if it is none."""
    cdef int number = 0
    cdef ssize_t at
    for at in range(size):
        if not c"0" <= digits[at] <= c"9":
            return -1
        number = number * 10 + digits[at] - c"0"
    return number


cdef inline bint is_printable(char one) noexcept nogil:
    return c" " <= one <= c"~"


cdef inline bint is_of_name(char one) noexcept nogil:
    return c"a" <= one <= c"z" or c"A" <= one <= c"Z" or c"0" <= one <= c"9" or one == c"-" or one == c"_"


cdef list ancillary(const timespec *stamped):
    """Return what `socket.recvmsg_into` would."""
    if stamped == NULL:
        return []
    return [(SOL_SOCKET, STAMPED, (<const char *>stamped)[: sizeof(timespec)])]
