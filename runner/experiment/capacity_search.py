"""The highest rate that holds, in a bounded number of probes: ramp up, then bisect (pure).

A rate that holds is doubled until one fails; the space between the two is then halved on a
logarithmic scale, where a per cent is a per cent at every rate. The search presumes that what
fails at a rate fails above it as well, as the search for throughput of RFC 2544 (section 26.1) does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from runner.core.units import PerSecond

Ending: TypeAlias = Literal["open", "found", "always", "never", "bounded"]

_STEP: Final = 2.0
_MIDDLE: Final = 0.1
_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Search:
    """Where a search stands: what it may do, and what it has seen.

    Attributes:
        least: The lowest rate it may try, > 0.
        most: The highest.
        start: The first rate it tries, from `least` to `most`.
        precision: It is done when the lowest rate that failed is at most this fraction above the
            highest that held; > 0.
        probes: How many rates it may try, >= 1.
        tried: Rates in the order they were tried, and whether each held.
    """

    least: PerSecond
    most: PerSecond
    start: PerSecond
    precision: float
    probes: int
    tried: tuple[tuple[PerSecond, bool], ...] = ()

    @property
    def held(self) -> PerSecond | None:
        """The highest rate that held."""
        return max((rate for rate, ok in self.tried if ok), default=None)

    @property
    def failed(self) -> PerSecond | None:
        """The lowest rate that did not hold."""
        return min((rate for rate, ok in self.tried if not ok), default=None)

    @property
    def next_rate(self) -> PerSecond | None:
        """What to try next; None when the search is over."""
        return self._wanted() if len(self.tried) < self.probes else None

    @property
    def ending(self) -> Ending:
        """How it stands.

        Returns:
            ``found``: within `precision`. ``always`` and ``never``: `most` held, `least` did not.
            ``bounded``: the probes were used up before any of these. ``open``: it goes on.
        """
        wanted = self._wanted()
        if wanted is not None:
            return "open" if len(self.tried) < self.probes else "bounded"
        if self.held is None:
            return "never"
        return "always" if self.failed is None else "found"

    def after(self, *, held: bool) -> Search:
        """The search once `next_rate` was tried.

        Raises:
            ValueError: The search is over.
        """
        rate = self.next_rate
        if rate is None:
            raise ValueError("the search is over")
        return replace(self, tried=(*self.tried, (rate, held)))

    def _wanted(self) -> PerSecond | None:
        """What would be tried next if there were no bound on the number of probes."""
        held, failed = self.held, self.failed
        if not self.tried:
            return self.start
        if failed is None:
            assert held is not None
            return min(held * _STEP, self.most) if held < self.most else None
        if held is None:
            return max(failed / _STEP, self.least) if failed > self.least else None
        return between(held, failed) if failed > held * (1 + self.precision) else None


def between(low: PerSecond, high: PerSecond) -> PerSecond:
    """About the geometric mean of two rates, rounded to as few digits as its place allows.

    Returns:
        A rate in the middle fifth between them on a logarithmic scale, so that three fifths remain at most.
    """
    centre = math.sqrt(low * high)
    slack = (high / low) ** _MIDDLE
    return next((rate for rate in _rounded(centre) if centre / slack <= rate <= centre * slack), centre)


def _rounded(rate: PerSecond) -> Iterator[PerSecond]:
    """The rate to two significant digits, three, and so on."""
    for digits in range(2, _DIGITS):
        yield float(f"{rate:.{digits - 1}e}")


def probes_needed(search: Search) -> int:
    """How many probes are enough for a search to end by itself, whatever it finds."""
    up = math.ceil(math.log(search.most / search.start, _STEP))
    down = math.ceil(math.log(search.start / search.least, _STEP))
    apart = math.log(_STEP) / math.log1p(search.precision)
    halvings = math.ceil(math.log(apart) / -math.log(0.5 + _MIDDLE)) if apart > 1 else 0
    return 1 + max(up, down) + halvings
