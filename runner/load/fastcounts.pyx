# cython: language_level=3, cdivision=True
"""What the compiled exchanges share; see fastcounts.pxd."""

cimport cython
from libc.string cimport memset

from runner.load import connection as _connection
from runner.load.tally import FINE as _FINE

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
    """

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


cdef list ancillary(const timespec *stamped):
    """Return what `socket.recvmsg_into` would."""
    if stamped == NULL:
        return []
    return [(SOL_SOCKET, STAMPED, (<const char *>stamped)[: sizeof(timespec)])]
