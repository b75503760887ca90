"""What a worker records to tell a growing backlog from responses that simply take long.

`runner.analyze.achieved` explains what is made of it.
"""

from __future__ import annotations

from typing import Final

from runner.core.units import NS_PER_S, Nanoseconds, ns
from runner.load.messages import WireBacklog
from runner.load.tally import Latency
from runner.load.worker_order import WorkerOrder

BEGINNING: Final = 0.005
"""Share of the measured window that counts as its beginning."""
_POISSON_GAPS: Final = 3
_NEVER_NS: Final = 2**62


def beginning_ns(order: WorkerOrder) -> Nanoseconds:
    """Return the length of the window's beginning.

    At least one request is due in it; with random arrivals, very probably.
    """
    gap_ns = max(_gap_ns(order), order.quantum_ns) * (_POISSON_GAPS if order.poisson else 1)
    return max(gap_ns, round(ns(order.duration) * BEGINNING))


def _gap_ns(order: WorkerOrder) -> Nanoseconds:
    """Return after what time at the window's beginning a request is due on average; 0 if none is."""
    if order.ramp:
        return ns(order.ramp.due_s(1))
    return round(NS_PER_S / order.rate) if order.rate else 0


class Backlog:
    """Response times of measured requests by when they were due.

    Args:
        order: The rate, how arrivals are spaced, and the length of the window.

    Attributes:
        beginning_ns: Length of the window's beginning.
        fastest_first_ns: The shortest response time of an ended request due in it; -1 without any.
        first: When the ended request was due that was due first after it, and its response time.
        late: Of successful responses after the window's end: how long after it.
        sums: Number of ended requests; sums of x, y, x², xy and y², where x is when a request was due, in
            seconds since the window began, and y its response time in seconds.
    """

    __slots__ = ("beginning_ns", "fastest_first_ns", "first", "late", "sums")

    def __init__(self, order: WorkerOrder) -> None:
        self.beginning_ns = beginning_ns(order)
        self.fastest_first_ns = -1
        self.first = (_NEVER_NS, 0)
        self.late = Latency()
        self.sums = (0, 0.0, 0.0, 0.0, 0.0, 0.0)

    def ended(self, due_ns: Nanoseconds, response_time_ns: Nanoseconds) -> None:
        """Add one request that ended in any way; `due_ns` counts from the beginning of the window."""
        x, y = due_ns / NS_PER_S, response_time_ns / NS_PER_S
        self.add(1, x, y, x * x, x * y, y * y)
        if due_ns < self.beginning_ns:
            known = self.fastest_first_ns
            self.fastest_first_ns = response_time_ns if known < 0 else min(known, response_time_ns)
        elif due_ns < self.first[0]:
            self.first = due_ns, response_time_ns

    def succeeded(self, due_ns: Nanoseconds, response_time_ns: Nanoseconds, late_ns: Nanoseconds) -> None:
        """Add one successful request; `late_ns` counts from the end of the window."""
        self.ended(due_ns, response_time_ns)
        if late_ns >= 0:
            self.late.add(late_ns)

    def add(self, n: int, x: float, y: float, xx: float, xy: float, yy: float) -> None:
        """Add to all sums."""
        sums = self.sums
        self.sums = (sums[0] + n, sums[1] + x, sums[2] + y, sums[3] + xx, sums[4] + xy, sums[5] + yy)

    def to_wire(self) -> WireBacklog:
        """Return what was recorded."""
        return WireBacklog(
            self.beginning_ns, self.fastest_first_ns, self.first, self.late.to_wire(), self.sums
        )
