"""Messages from the load processes to the runner: one line of JSON each, checked when they are read.

msgspec costs a worker little memory and time to start. `runner.load.worker_order` is the other direction.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from typing import Annotated, Final, Self, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from runner.core.histogram import BUCKETS
from runner.core.load_facts import ResponseSample
from runner.core.units import Nanoseconds, Seconds

Count: TypeAlias = Annotated[int, Meta(ge=0)]
_Status: TypeAlias = Annotated[int, Meta(ge=0, le=999)]
_Index: TypeAlias = Annotated[int, Meta(gt=-(10**9), lt=10**9)]
_Duration: TypeAlias = Annotated[Nanoseconds, Meta(ge=0)]

_BUCKET_CODE: Final = "H"
_BUCKET_BYTES: Final = 2
_CODES: Final = {1: "B", 2: "H", 8: "Q"}
"""Bytes of a count to the type of its array."""
_HIGH_BYTE: Final = 1 if sys.byteorder == "little" else 0
_HIGH_BYTES: Final = bytes(range(BUCKETS >> 8))
"""The upper bytes of buckets: their number is a multiple of 256."""


class WireHistogram(Struct, frozen=True, array_like=True):
    """The content of a `runner.core.histogram.Histogram`, as arrays in native byte order.

    To read numbers one by one would cost the runner more than to merge them.

    Attributes:
        buckets: Indices of the buckets that are not empty, in 2 bytes each.
        counts: As many counts, all in 1, 2 or 8 bytes.
        total_ns: Sum of all values.
        max_ns: The largest value.
    """

    buckets: bytes
    counts: bytes
    total_ns: _Duration
    max_ns: _Duration

    def __post_init__(self) -> None:
        length, rest = divmod(len(self.buckets), _BUCKET_BYTES)
        if rest or len(self.counts) not in {length * width for width in _CODES}:
            raise ValueError("a histogram needs one count for each bucket")
        if self.buckets[_HIGH_BYTE::_BUCKET_BYTES].translate(None, _HIGH_BYTES):
            raise ValueError("a bucket of a histogram is out of range")

    @classmethod
    def of(cls, counts: Mapping[int, int], total_ns: Nanoseconds, max_ns: Nanoseconds) -> Self:
        """Return the message of counts by bucket.

        Raises:
            OverflowError: A bucket or a count is negative or too large.
        """
        most = max(counts.values(), default=0)
        code = next((code for width, code in _CODES.items() if most < 1 << 8 * width), "Q")
        buckets, numbers = array(_BUCKET_CODE, counts), array(code, counts.values())
        return cls(buckets.tobytes(), numbers.tobytes(), total_ns, max_ns)

    @property
    def arrays(self) -> tuple[array[int], array[int]]:
        """The buckets that are not empty, in any order, and as many counts."""
        width = len(self.counts) * _BUCKET_BYTES // len(self.buckets) if self.buckets else 1
        return array(_BUCKET_CODE, self.buckets), array(_CODES[width], self.counts)


class WorkerReady(Struct, frozen=True, tag="ready"):
    """A worker can begin.

    Attributes:
        notes: What a reader of the results should know.
    """

    notes: tuple[str, ...] = ()


class WorkerSecond(Struct, frozen=True, tag="second", kw_only=True):
    """One second of one worker; see `runner.core.load_facts.LoadSecond` for the fields.

    Attributes:
        first_byte: None where it is the same as `duration`: all responses came in one piece.
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
    first_byte: WireHistogram | None = None
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
        unasked: Connections closed because the server had sent bytes that no request had asked for.
        resent: Requests sent again because the server had closed their keep-alive connection before.
        stale: The same of requests that must not be repeated; these have failed.
        faults: Why responses in the measured window were no HTTP, and how often.
        closed_first: Connections that the server was expected to close and did not.
        handshakes: Some connect times, each with the kernel's own round-trip time, in nanoseconds.
        longest_stall_ns: The longest time in which the worker did not run.
        too_late: Requests, or users of scenarios, that it dropped because it had not run in their time.
        clock_shift_ns: By how much the wall clock was moved in total.
        peak_rss_kib: The largest resident set.
        backlog: How response times developed: one for each request of a mix, in order, or for the only one.
            Of scenarios, one for the durations of each.
    """

    unstamped: Count = 0
    opened: Count = 0
    closed_by_server: Count = 0
    unasked: Count = 0
    resent: Count = 0
    stale: Count = 0
    faults: dict[str, Count] = {}
    closed_first: Count = 0
    handshakes: list[tuple[Nanoseconds, Nanoseconds]] = []
    longest_stall_ns: _Duration = 0
    too_late: Count = 0
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
