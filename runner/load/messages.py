"""Messages from the load processes to the runner: one line of JSON each, checked when they are read.

msgspec costs a worker little memory and time to start. `runner.load.worker_order` is the other direction.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from runner.core.histogram import BUCKETS
from runner.core.load_facts import ResponseSample
from runner.core.units import Nanoseconds, Seconds

Count: TypeAlias = Annotated[int, Meta(ge=0)]
_Bucket: TypeAlias = Annotated[int, Meta(ge=0, lt=BUCKETS)]
_Status: TypeAlias = Annotated[int, Meta(ge=0, le=999)]
_Index: TypeAlias = Annotated[int, Meta(gt=-(10**9), lt=10**9)]
_Duration: TypeAlias = Annotated[Nanoseconds, Meta(ge=0)]


class WireHistogram(Struct, frozen=True, array_like=True):
    """The content of a `runner.core.histogram.Histogram`.

    Attributes:
        buckets: Indices of the buckets that are not empty.
        counts: As many counts.
        total_ns: Sum of all values.
        max_ns: The largest value.
    """

    buckets: list[_Bucket]
    counts: list[Count]
    total_ns: _Duration
    max_ns: _Duration

    def __post_init__(self) -> None:
        if len(self.buckets) != len(self.counts):
            raise ValueError("a histogram needs one count for each bucket")


class WorkerReady(Struct, frozen=True, tag="ready"):
    """A worker can begin.

    Attributes:
        notes: What a reader of the results should know.
    """

    notes: tuple[str, ...] = ()


class WorkerSecond(Struct, frozen=True, tag="second", kw_only=True):
    """One second of one worker; see `runner.core.load_facts.LoadSecond` for the fields.

    Attributes:
        parts: Of a mix: one per request, in the order of the specification.
        scenarios: One per scenario, likewise.
    """

    index: _Index
    scheduled: Count = 0
    sent: Count = 0
    succeeded: Count = 0
    dropped: Count = 0
    completed: Count = 0
    failures: dict[str, Count]
    statuses: dict[_Status, Count] = {}
    samples: tuple[ResponseSample, ...] = ()
    duration: WireHistogram
    response_time: WireHistogram
    connect: WireHistogram
    tls: WireHistogram
    dispatch_delay: WireHistogram
    first_byte: WireHistogram
    lateness: WireHistogram
    cpu_s: Annotated[Seconds, Meta(ge=0)]
    in_flight: Count
    parts: tuple[WorkerSecond, ...] = ()
    scenarios: tuple[WorkerSecond, ...] = ()


_Sum: TypeAlias = Annotated[float, Meta(ge=-1e300, le=1e300)]


class WireBacklog(Struct, frozen=True, array_like=True):
    """The content of a `runner.load.backlog.Backlog`."""

    beginning_ns: _Duration
    fastest_first_ns: Annotated[Nanoseconds, Meta(ge=-1)]
    first: tuple[Nanoseconds, Nanoseconds]
    late: WireHistogram
    sums: tuple[Count, _Sum, _Sum, _Sum, _Sum, _Sum]


class WorkerEnd(Struct, frozen=True, tag="end", kw_only=True):
    """A worker's last message.

    Attributes:
        unstamped: Reads for which the kernel had no receive timestamp.
        opened: Connections opened, in the warm-up as well.
        closed_by_server: Keep-alive connections that the server closed, or announced to close.
        resent: Requests sent again because the server had closed their keep-alive connection before.
        stale: The same of requests that must not be repeated; these have failed.
        faults: Why responses in the measured window were no HTTP, and how often.
        closed_first: Connections that the server was expected to close and did not.
        handshakes: Some connect times, each with the kernel's own round-trip time, in nanoseconds.
        longest_stall_ns: The longest time in which the worker did not run.
        clock_shift_ns: By how much the wall clock was moved in total.
        peak_rss_kib: The largest resident set.
        backlog: How response times developed: one for each request of a mix, in order, or for the only one.
            Of scenarios, one for the durations of each.
    """

    unstamped: Count = 0
    opened: Count = 0
    closed_by_server: Count = 0
    resent: Count = 0
    stale: Count = 0
    faults: dict[str, Count] = {}
    closed_first: Count = 0
    handshakes: list[tuple[Nanoseconds, Nanoseconds]] = []
    longest_stall_ns: _Duration = 0
    clock_shift_ns: _Duration = 0
    peak_rss_kib: Count
    backlog: tuple[WireBacklog, ...] = ()


class ResponderReady(Struct, frozen=True, tag="ready"):
    """The null responder listens on this port of 127.0.0.1."""

    port: Annotated[int, Meta(gt=0, lt=65_536)]


class ResponderReport(Struct, frozen=True, tag="report"):
    """The null responder's receive timestamps since its last report.

    Attributes:
        timestamps: An array of 64-bit nanoseconds of CLOCK_REALTIME, ascending, in native byte order.
    """

    timestamps: bytes


WorkerProgress: TypeAlias = WorkerSecond | WorkerEnd
Message: TypeAlias = WorkerReady | WorkerProgress | ResponderReady | ResponderReport

_PROGRESS: Final[msgspec.json.Decoder[WorkerProgress]] = msgspec.json.Decoder(WorkerProgress)
_Expected = TypeVar("_Expected", WorkerReady, ResponderReady, ResponderReport)


def encode(message: Message) -> bytes:
    """Return a message as one line."""
    return msgspec.json.encode(message) + b"\n"


def decode(line: bytes, expected: type[_Expected]) -> _Expected:
    """Return the message in a line.

    Raises:
        ValueError: The line is another message or none, or a number is out of range.
    """
    return msgspec.json.decode(line, type=expected)


def decode_progress(line: bytes) -> WorkerProgress:
    """Return what a worker reports once it has begun.

    Raises:
        ValueError: As of `decode`.
    """
    return _PROGRESS.decode(line)
