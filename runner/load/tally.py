"""What a worker counts, second by second, and the line of JSON it makes of each."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Final

from runner.histogram import bucket
from runner.units import Nanoseconds

_HALF_US: Final = 500
_FINE: Final = 2048
LATENCIES: Final = ("duration", "response_time", "connect", "tls", "dispatch_delay", "first_byte")


class Latency:
    """Counts by bucket, filled by `add` in the hot path: a list for the buckets of 1 µs, a dict beyond."""

    __slots__ = ("coarse", "fine", "max_ns", "total_ns")

    def __init__(self) -> None:
        self.fine = [0] * _FINE
        self.coarse: defaultdict[int, int] = defaultdict(int)
        self.total_ns = 0
        self.max_ns = 0

    def add(self, value_ns: Nanoseconds) -> None:
        """Count one value, rounded to the nearest microsecond; a negative one as 0."""
        if value_ns < 0:
            value_ns = 0
        us = (value_ns + _HALF_US) // 1000
        if us < _FINE:
            self.fine[us] += 1
        else:
            self.coarse[bucket(us)] += 1
        self.total_ns += value_ns
        if value_ns > self.max_ns:
            self.max_ns = value_ns

    def packed(self) -> list[object]:
        """Buckets, counts, sum and maximum, ready for JSON."""
        fine = {us: count for us, count in enumerate(self.fine) if count}
        return [[*fine, *self.coarse], [*fine.values(), *self.coarse.values()], self.total_ns, self.max_ns]


class Tally:
    """One second of one worker; see `runner.facts.LoadSecond` for what each count means."""

    __slots__ = (
        "completed", "connect", "dispatch_delay", "dropped", "duration", "failures", "first_byte", "index",
        "response_time", "scheduled", "sent", "succeeded", "tls",
    )  # fmt: skip

    def __init__(self, index: int) -> None:
        self.index = index
        self.scheduled = self.sent = self.succeeded = self.dropped = self.completed = 0
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.duration, self.response_time = Latency(), Latency()
        self.connect, self.tls = Latency(), Latency()
        self.dispatch_delay, self.first_byte = Latency(), Latency()

    def line(self, **extra: object) -> bytes:
        """The line of JSON that `runner.load.merge` reads."""
        record: dict[str, object] = {
            "index": self.index,
            "scheduled": self.scheduled,
            "sent": self.sent,
            "succeeded": self.succeeded,
            "dropped": self.dropped,
            "completed": self.completed,
            "failures": self.failures,
        }
        record |= {name: getattr(self, name).packed() for name in LATENCIES}
        return json.dumps(record | extra, separators=(",", ":")).encode() + b"\n"
