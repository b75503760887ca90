"""What a worker counts, second by second."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from runner.core.histogram import bucket
from runner.core.load_facts import ResponseSample
from runner.core.units import NS_PER_US, Nanoseconds, Seconds
from runner.load.messages import WireHistogram, WorkerSecond

_SUMMED: Final = ("sent", "succeeded", "dropped", "completed")
_EQUAL_IN_ONE_PIECE: Final = ("duration", "first_byte")
_HALF_US: Final = 500
FINE: Final = 2048
"""Microseconds below which `runner.core.histogram` has one bucket for each value."""
LATENCIES: Final = (
    "duration", "response_time", "connect", "tls", "dispatch_delay", "first_byte", "lateness"
)  # fmt: skip


class Latency:
    """Values by bucket. They are appended as they come, which costs least, and counted in bulk by `fold`.

    Attributes:
        add: Takes one value in nanoseconds; a negative one counts as 0.
        values: Those not yet counted.
    """

    __slots__ = ("_counts", "_max_ns", "_total_ns", "add", "values")

    def __init__(self) -> None:
        self.values: list[Nanoseconds] = []
        self.add: Callable[[Nanoseconds], None] = self.values.append
        self._counts: Counter[int] = Counter()
        self._total_ns = self._max_ns = 0

    def __bool__(self) -> bool:
        return bool(self.values or self._counts)

    def count(self, counts: Mapping[int, int], total_ns: Nanoseconds, max_ns: Nanoseconds) -> None:
        """Add values that were counted elsewhere, by bucket, with their sum and their maximum.

        Below `FINE` microseconds, a bucket is a microsecond.
        """
        self._counts.update(counts)
        self._total_ns += total_ns
        self._max_ns = max(self._max_ns, max_ns)

    def fold(self) -> None:
        """Count the values so far, rounded to the nearest microsecond."""
        values = self.values
        if not values:
            return
        if min(values) < 0:
            values[:] = [max(value, 0) for value in values]
        counts, max_ns = Counter([(value + _HALF_US) // 1000 for value in values]), max(values)
        if max_ns >= FINE * NS_PER_US - _HALF_US:
            counts = _by_bucket(counts)
        self.count(counts, sum(values), max_ns)
        values.clear()

    def merge(self, other: Latency) -> None:
        """Add the values of another one."""
        if not other:
            return
        self.fold()
        other.fold()
        self.count(other._counts, other._total_ns, other._max_ns)

    def to_wire(self) -> WireHistogram:
        """Return buckets, counts, sum and maximum."""
        self.fold()
        return WireHistogram.of(self._counts, self._total_ns, self._max_ns)


def _by_bucket(counts: Mapping[int, int]) -> Counter[int]:
    """Return counts of microseconds as counts of buckets."""
    buckets: Counter[int] = Counter()
    for us, count in counts.items():
        buckets[us if us < FINE else bucket(us)] += count
    return buckets


class Tally:
    """One second of one worker; see `runner.core.load_facts.LoadSecond` for what each count means.

    Args:
        index: Of the second.
        parts: Number of requests in the mix.
        scenarios: Number of scenarios.

    Attributes:
        scenarios: What happened to the runs of each scenario; the tally's own counts are those of requests.
        whole: Duration and first byte of responses that arrived in one piece, for which they are the same.
    """

    __slots__ = (
        "completed", "connect", "dispatch_delay", "dropped", "duration", "failures", "first_byte", "index",
        "lateness", "parts", "response_time", "samples", "scenarios", "scheduled", "sent", "statuses",
        "succeeded", "tls", "whole",
    )  # fmt: skip

    def __init__(self, index: int, parts: int = 1, scenarios: int = 0) -> None:
        self.index = index
        self.scenarios = tuple(Tally(index) for _ in range(scenarios))
        alone = parts == 1 and not scenarios
        self.parts: tuple[Tally, ...] = (self,) if alone else tuple(Tally(index) for _ in range(parts))
        self.scheduled = self.sent = self.succeeded = self.dropped = self.completed = 0
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.samples: list[ResponseSample] = []
        self.duration, self.response_time = Latency(), Latency()
        self.connect, self.tls = Latency(), Latency()
        self.dispatch_delay, self.first_byte = Latency(), Latency()
        self.lateness = Latency()
        self.whole = Latency()

    def fold(self) -> None:
        """Count the values so far, which takes about half a microsecond a request."""
        self.lateness.fold()
        for part in self.parts:
            for latency in (part.whole, part.dispatch_delay, part.response_time):
                latency.fold()

    @property
    def unfolded(self) -> int:
        """Number of requests whose values `fold` would count."""
        return sum(len(part.dispatch_delay.values) for part in self.parts)

    def message(self, *, cpu_s: Seconds, in_flight: int, users_in_flight: Sequence[int] = ()) -> WorkerSecond:
        """Return the message that `runner.load.merge` reads.

        Args:
            cpu_s: CPU seconds that the worker used in this second.
            in_flight: Requests under way at its end.
            users_in_flight: Users under way at its end, for each scenario.
        """
        messages = self._add_parts()
        return WorkerSecond(
            index=self.index,
            scheduled=self.scheduled,
            sent=self.sent,
            succeeded=self.succeeded,
            dropped=self.dropped,
            completed=self.completed,
            failures=dict(self.failures),
            statuses=dict(self.statuses),
            samples=tuple(self.samples),
            duration=self.duration.to_wire(),
            response_time=self.response_time.to_wire(),
            connect=self.connect.to_wire(),
            tls=self.tls.to_wire(),
            dispatch_delay=self.dispatch_delay.to_wire(),
            first_byte=None if self.first_byte is self.duration else self.first_byte.to_wire(),
            lateness=self.lateness.to_wire(),
            cpu_s=cpu_s,
            in_flight=in_flight,
            parts=messages,
            scenarios=tuple(
                scenario.message(cpu_s=0.0, in_flight=users)
                for scenario, users in zip(self.scenarios, users_in_flight, strict=True)
            ),
        )

    def _add_parts(self) -> tuple[WorkerSecond, ...]:
        """Add what belongs to each request of the mix; returns their messages."""
        parts = [part for part in self.parts if part is not self]
        messages = tuple(part.message(cpu_s=0.0, in_flight=0) for part in parts)
        for part in parts:
            self._add(part)
        if self.scenarios:  # the loop counts users who come due; their requests come due later
            self.scheduled = sum(part.scheduled for part in parts)
        self._merge_whole()
        return messages

    def _add(self, part: Tally) -> None:
        """Add what belongs to one request of the mix; what came due is counted for both already."""
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        for kind, count in part.failures.items():
            self.failures[kind] += count
        for status, count in part.statuses.items():
            self.statuses[status] += count
        whole = part.first_byte is part.duration
        if whole:
            self.whole.merge(part.duration)
        for name in LATENCIES:
            if not whole or name not in _EQUAL_IN_ONE_PIECE:
                getattr(self, name).merge(getattr(part, name))
        self.samples += part.samples

    def _merge_whole(self) -> None:
        """Add the responses in one piece; if there are no others, both kinds of latency are the same."""
        if not self.duration and not self.first_byte:
            self.duration = self.first_byte = self.whole
        else:
            self.duration.merge(self.whole)
            self.first_byte.merge(self.whole)
