"""From readings over a window to counters with two ends: what was not read at both is not used.

A delta from a reading that failed and was made up later would be a zero that nobody counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from runner.core.facts import Counter, Unreadable
from runner.observe.counters.level import Level, Levels, Source

WENT_BACK: Final = "it went back in the window, so its owner was started again or it wrapped"
ONE_END: Final = "it was there at one end of the window only"
NOT_COUNTED: Final = "this kernel does not count it"


class When(Enum):
    """Where in the window a reading was taken."""

    BEGIN = auto()
    BETWEEN = auto()
    END = auto()


@dataclass(slots=True)
class _Series:
    first: Level | None = None
    last: Level | None = None
    latest: Level | None = None
    peak: float | None = None
    went_back: bool = False

    def add(self, level: Level, when: When) -> None:
        if level.kind == "counter" and self.latest is not None:
            self.went_back = self.went_back or level.value < self.latest.value
        if level.kind == "gauge":
            peak = level.value if level.peak is None else level.peak
            self.peak = peak if self.peak is None else max(self.peak, peak)
        self.latest = level
        if when is When.BEGIN:
            self.first = level
        elif when is When.END:
            self.last = level


@dataclass(slots=True)
class Ledger:
    """All readings of one window, by scope and name."""

    _series: dict[tuple[str, str], _Series] = field(default_factory=dict)
    _family: dict[tuple[str, str], str] = field(default_factory=dict)
    _faults: dict[tuple[str, str], str] = field(default_factory=dict)
    _absent: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, scope: str, family: str, levels: Levels, when: When) -> None:
        """Keep what one source gave; None stands for a counter that this kernel does not have."""
        for name, level in levels.items():
            key = (scope, name)
            self._family[key] = family
            if level is None:
                self._absent[key] = NOT_COUNTED
            else:
                self._series.setdefault(key, _Series()).add(level, when)

    def average(self, scope: str, levels: Levels) -> None:
        """Gauges whose value at the end is one over the whole window; their peaks stay."""
        for name, level in levels.items():
            series = self._series.get((scope, name))
            if series is not None and series.last is not None:
                series.last = level

    def fail(self, scope: str, family: str, reason: str, when: When) -> None:
        """A source could not be read; in between, only its peaks know less."""
        if when is not When.BETWEEN:
            self._faults.setdefault((scope, family), reason)

    def has_failed(self, source: Source) -> bool:
        """Whether a source is lost for this window."""
        return (source.scope, source.family) in self._faults

    def conclude(self) -> tuple[tuple[Counter, ...], tuple[Unreadable, ...]]:
        """Every counter known at both ends of the window, and why each of the others is not."""
        found: list[Counter] = []
        unreadable = [Unreadable(*key, reason) for key, reason in (self._faults | self._absent).items()]
        for (scope, name), series in self._series.items():
            if (scope, self._family[scope, name]) in self._faults:
                continue
            if series.first is None or series.last is None:
                unreadable.append(Unreadable(scope, name, ONE_END))
            elif series.went_back:
                unreadable.append(Unreadable(scope, name, WENT_BACK))
            else:
                found.append(_counter(scope, name, series.first, series.last, series.peak))
        return (
            tuple(sorted(found, key=lambda each: (each.scope, each.name))),
            tuple(sorted(unreadable, key=lambda each: (each.scope, each.name))),
        )


def _counter(scope: str, name: str, first: Level, last: Level, peak: float | None) -> Counter:
    return Counter(scope, name, first.unit, first.kind, first.value, last.value, peak, last.limit)
