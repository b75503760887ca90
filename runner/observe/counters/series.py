"""Converts readings over a window to counters with two ends; a counter not read at both ends is not used.

Substituting a value for a failed reading would produce a difference that was never measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final, NamedTuple

from runner.core.observed_facts import Counter, Unreadable
from runner.core.units import Seconds
from runner.observe.bounds import MAX_COUNTERS, MAX_VALUE, out_of_range
from runner.observe.counters.level import Level, Levels, Source

DECREASED: Final = "it decreased during the window, so its owner was restarted or it wrapped around"
ONE_END: Final = "it existed at one end of the window only"
NOT_COUNTED: Final = "this kernel does not count it"
NEVER_READ: Final = "it was not read in the window"
TOO_MANY: Final = f"it has more than {MAX_COUNTERS:,} counters"


_LATE_S: Final[Seconds] = 0.1


class When(Enum):
    """Where in the window a reading was taken."""

    BEGIN = auto()
    BETWEEN = auto()
    END = auto()


class ReadAt(NamedTuple):
    """When a source was read.

    Attributes:
        due_s: When it should have been read, in seconds since the measured window began.
        read_s: When its levels were known.
    """

    due_s: Seconds
    read_s: Seconds

    @property
    def is_late(self) -> bool:
        """Whether it covers a time that is notably not the window."""
        return self.read_s > self.due_s + _LATE_S


@dataclass(slots=True)
class _Series:
    first: Level | None = None
    last: Level | None = None
    latest: Level | None = None
    peak: float | None = None
    decreased: bool = False
    read: dict[When, ReadAt] = field(default_factory=dict)

    def add(self, level: Level, when: When, read_at: ReadAt | None) -> None:
        if read_at is not None:
            self.read[when] = read_at
        if level.kind == "counter" and self.latest is not None:
            self.decreased = self.decreased or level.value < self.latest.value
        if level.kind == "gauge":
            peak = level.value if level.peak is None else level.peak
            self.peak = peak if self.peak is None else max(self.peak, peak)
        self.latest = level
        if when is When.BEGIN:
            self.first = level
        elif when is When.END:
            self.last = level


@dataclass(slots=True)
class Readings:
    """All readings of one window, by scope and name."""

    _series: dict[tuple[str, str], _Series] = field(default_factory=dict)
    _family: dict[tuple[str, str], str] = field(default_factory=dict)
    _faults: dict[tuple[str, str], str] = field(default_factory=dict)
    _absent: dict[tuple[str, str], str] = field(default_factory=dict)
    _expected: dict[tuple[str, str], None] = field(default_factory=dict)

    def expect(self, scope: str, family: str) -> None:
        """Expect a source, which is listed as not readable if it is never read."""
        self._expected[scope, family] = None

    def add(self, scope: str, family: str, levels: Levels, when: When, read_at: ReadAt | None = None) -> None:
        """Add one source's levels.

        Args:
            scope: As of `Counter`.
            family: Name of the source.
            levels: By name; None stands for a counter that this kernel does not have.
            when: Where in the window they should have been read.
            read_at: When they were read, of sources that may be read late.
        """
        self._expected.pop((scope, family), None)
        if len(levels) > MAX_COUNTERS:
            self.fail(scope, family, TOO_MANY, when)
            return
        for name, level in levels.items():
            key = (scope, name)
            self._family[key] = family
            if level is None:
                self._absent[key] = NOT_COUNTED
            elif reason := _out_of_range(level):
                if when is not When.BETWEEN:
                    self._absent[key] = reason
            else:
                self._series.setdefault(key, _Series()).add(_with_usable_limit(level), when, read_at)

    def set_averages(self, scope: str, levels: Mapping[str, Level]) -> None:
        """Replace the last value of gauges by their average over the window; peaks and limits stay."""
        for name, level in levels.items():
            series = self._series.get((scope, name))
            if series is not None and series.last is not None and not _out_of_range(level):
                series.last = replace(level, limit=level.limit or series.last.limit)

    def fail(self, scope: str, family: str, reason: str, when: When) -> None:
        """Record that a source could not be read; between the window's ends that only affects peaks."""
        self._expected.pop((scope, family), None)
        if when is not When.BETWEEN:
            self._faults.setdefault((scope, family), reason)

    def has_failed(self, source: Source) -> bool:
        """Return whether a source has no result for this window."""
        return (source.scope, source.family) in self._faults

    def conclude(self) -> tuple[tuple[Counter, ...], tuple[Unreadable, ...]]:
        """Return every counter known at both ends of the window, and why the others are not."""
        counters: list[Counter] = []
        missing = dict.fromkeys(self._expected, NEVER_READ) | self._faults | self._absent
        unreadable = [Unreadable(*key, reason) for key, reason in missing.items()]
        for (scope, name), series in self._series.items():
            if (scope, self._family[scope, name]) in self._faults or (scope, name) in self._absent:
                continue
            if series.first is None or series.last is None:
                unreadable.append(Unreadable(scope, name, ONE_END))
            elif series.decreased:
                unreadable.append(Unreadable(scope, name, DECREASED))
            else:
                counters.append(_counter(scope, name, series, series.first, series.last))
        return tuple(sorted(counters, key=_key)), tuple(sorted(unreadable, key=_key))


def _out_of_range(level: Level) -> str | None:
    peak = None if level.peak is None else out_of_range(level.peak)
    return out_of_range(level.value) or peak


def _with_usable_limit(level: Level) -> Level:
    """Remove a limit that nothing can reach, as some programs write for none."""
    return replace(level, limit=None) if level.limit is not None and level.limit > MAX_VALUE else level


def _key(counter: Counter | Unreadable) -> tuple[str, str]:
    return counter.scope, counter.name


def _counter(scope: str, name: str, series: _Series, first: Level, last: Level) -> Counter:
    begin, end = series.read.get(When.BEGIN), series.read.get(When.END)
    late = begin is not None and end is not None and (begin.is_late or end.is_late)
    times = (begin.read_s, end.read_s) if late and begin and end else (None, None)
    return Counter(
        scope, name, first.unit, first.kind, first.value, last.value, series.peak, last.limit, *times
    )
