"""Assigns requests to seconds; a second closes late, so that late readings still count in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from runner.core.units import NS_PER_MS, NS_PER_S, Nanoseconds, Seconds, ns
from runner.load.tally import Tally

_GRACE_NS: Final = 100 * NS_PER_MS


class Timeline:
    """The seconds of a stage; all instants are on the clock of the kernel's receive timestamps.

    Args:
        start_ns: When the first arrival is due.
        warmup: Length of the warm-up.
        duration: Length of the measured window, in which index 0 is the first second. The
            window's end begins a second of its own, so a window of 1.5 s has a short index 1.
        emit: Called with every second once it is closed, in order and without gaps.
        parts: Number of requests in the mix.
        scenarios: Number of scenarios.

    Attributes:
        current: The current second, as of the last `advance`.
        begins_ns: When `current` begins; the stage's first second includes all instants before it.
        ends_ns: When it ends.
        measure_ns: When the measured window begins.
        end_ns: When it ends.
    """

    __slots__ = (
        "_emit", "_next", "_open", "_parts", "_scenarios", "_window", "begins_ns", "current", "end_ns",
        "ends_ns", "measure_ns",
    )  # fmt: skip

    def __init__(
        self,
        start_ns: Nanoseconds,
        warmup: Seconds,
        duration: Seconds,
        emit: Callable[[Tally], None],
        parts: int = 1,
        scenarios: int = 0,
    ) -> None:
        self._parts, self._scenarios = parts, scenarios
        self._emit = emit
        self.measure_ns = start_ns + ns(warmup)
        self.end_ns = self.measure_ns + ns(duration)
        self._window = math.ceil(duration)
        self._next = -math.ceil(warmup)
        self._open: dict[int, Tally] = {}
        self.advance(start_ns)

    def at(self, instant_ns: Nanoseconds) -> Tally:
        """Return the second of an instant, or the oldest open one if that is closed."""
        index = max(self._index(instant_ns), self._next)
        if index not in self._open:
            self._open[index] = self._tally(index)
        return self._open[index]

    def advance(self, now_ns: Nanoseconds) -> None:
        """Make the second of `now_ns` the current one."""
        self.current = self.at(now_ns)
        self.begins_ns = self._begin(self.current.index)
        self.ends_ns = self._begin(self.current.index + 1)

    def close(self, now_ns: Nanoseconds) -> None:
        """Emit the seconds that ended before the grace period."""
        self.current.fold()
        while self._begin(self._next + 1) + _GRACE_NS <= now_ns and self._next < self.current.index:
            self._emit_next()

    def close_all(self) -> None:
        """Emit all open seconds."""
        while self._open:
            self._emit_next()

    def shift(self, shift_ns: Nanoseconds) -> None:
        """Move all bounds by as much as the wall clock was moved."""
        self.measure_ns += shift_ns
        self.end_ns += shift_ns
        self.begins_ns += shift_ns
        self.ends_ns += shift_ns

    def _emit_next(self) -> None:
        tally = self._open.pop(self._next) if self._next in self._open else self._tally(self._next)
        self._emit(tally)
        for part in (*tally.parts, *tally.scenarios):
            part.parts = ()  # each is its own part, and the worker collects no garbage
        tally.parts = ()
        self._next += 1

    def _tally(self, index: int) -> Tally:
        return Tally(index, self._parts, self._scenarios)

    def _index(self, instant_ns: Nanoseconds) -> int:
        if instant_ns < self.end_ns:
            return (instant_ns - self.measure_ns) // NS_PER_S
        return self._window + (instant_ns - self.end_ns) // NS_PER_S

    def _begin(self, index: int) -> Nanoseconds:
        if index < self._window:
            return self.measure_ns + index * NS_PER_S
        return self.end_ns + (index - self._window) * NS_PER_S
