"""Search for the highest sustained rate in a bounded number of probes: ramp up, then bisect (pure).

A sustained rate is doubled until one fails; the interval between the two is then halved on a
logarithmic scale, where a step of one per cent is the same at every rate. The search assumes that a
service that fails at one rate fails at all higher rates, as the throughput search of RFC 2544
(section 26.1) does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from runner.core.codes import RateUnit, SearchEnding
from runner.core.units import PerSecond

_RAMP_FACTOR: Final = 2.0
_MIDDLE: Final = 0.1
_MAX_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Search:
    """The state of a search: its limits, and the results so far.

    Attributes:
        precision: It ends when the lowest failed rate is at most this fraction above the
            highest sustained rate; > 0.
        tried: Rates in the order they were tried, and whether each was sustained.
        unit: What the rates count.
    """

    lowest: PerSecond
    highest: PerSecond
    start: PerSecond
    precision: float
    probes: int
    tried: tuple[tuple[PerSecond, bool], ...] = ()
    unit: RateUnit = RateUnit.REQUESTS

    @property
    def sustained(self) -> PerSecond | None:
        """The highest rate that was sustained."""
        return max((rate for rate, ok in self.tried if ok), default=None)

    @property
    def failed(self) -> PerSecond | None:
        """The lowest rate that was not sustained."""
        return min((rate for rate, ok in self.tried if not ok), default=None)

    @property
    def next_rate(self) -> PerSecond | None:
        """The rate to try next; None when the search is over."""
        return self._wanted() if len(self.tried) < self.probes else None

    @property
    def ending(self) -> SearchEnding:
        """How the search ended; `SearchEnding.OPEN` while it continues."""
        wanted = self._wanted()
        if wanted is not None:
            return SearchEnding.OPEN if len(self.tried) < self.probes else SearchEnding.BOUNDED
        if self.sustained is None:
            return SearchEnding.NEVER
        return SearchEnding.ALWAYS if self.failed is None else SearchEnding.FOUND

    def after(self, *, sustained: bool) -> Search:
        """Return the search after `next_rate` was tried; ValueError if the search is over."""
        rate = self.next_rate
        if rate is None:
            raise ValueError("the search is over")
        return replace(self, tried=(*self.tried, (rate, sustained)))

    def without_probe(self) -> Search | None:
        """Return the search after a probe that tells nothing; None if no probe would be left to repeat it."""
        left = replace(self, probes=self.probes - 1)
        return left if len(left.tried) < left.probes else None

    def _wanted(self) -> PerSecond | None:
        """Return the next rate to try if the number of probes were not limited."""
        sustained, failed = self.sustained, self.failed
        if not self.tried:
            return self.start
        if failed is None:
            assert sustained is not None
            return min(sustained * _RAMP_FACTOR, self.highest) if sustained < self.highest else None
        if sustained is None:
            return max(failed / _RAMP_FACTOR, self.lowest) if failed > self.lowest else None
        return between(sustained, failed) if failed > sustained * (1 + self.precision) else None


def between(low: PerSecond, high: PerSecond) -> PerSecond:
    """Return approximately the geometric mean of two rates, rounded to as few digits as possible.

    It is in the middle fifth of the interval on a logarithmic scale, so at most three fifths remain.
    """
    mean = math.sqrt(low * high)
    slack = (high / low) ** _MIDDLE
    rounded = (float(f"{mean:.{digits - 1}e}") for digits in range(2, _MAX_DIGITS))
    return next((rate for rate in rounded if mean / slack <= rate <= mean * slack), mean)
