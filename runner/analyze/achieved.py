"""The share of its target rate that a service achieved.

The rule for a stage, its verdict, a search and a threshold: the share of the requests due in the measured
window that the service sustained. A service that responds to every due request in time achieved 100 %,
however long a response takes. An overloaded one achieved its capacity ÷ the target rate: what it works off
after the window, while no more requests are due, does not count.

Responses after the window are late either because a response takes long or because a backlog has grown. The
two differ in how response times develop over the window:

* If they do not grow and at least 99 % of the due requests succeeded, every success counts.
* If they grow, a success counts that ended not later after the window's end than the first requests of the
  window took. A service that needs 3 s for its first request, because of what a response takes or because of
  the backlog that the warm-up left, has its window shifted by 3 s.

Failed and dropped requests never count, and one more of them never raises the share.
"""

from __future__ import annotations

import math
from typing import Final

from runner.core.facts import Backlog, LoadFacts
from runner.core.histogram import Histogram, lowest_us
from runner.core.units import US_PER_S, PerSecond, Seconds

_NEARLY_ALL: Final = 0.99
"""Share of successes from which late ones may be slow responses; below, some requests were turned away."""
_SIGNIFICANT: Final = 2.5
"""Standard errors by which a growth of response times must differ from 0."""
_FEWEST: Final = 3


def achieved(load: LoadFacts, target: PerSecond, window_s: Seconds) -> float | None:
    """Return the share of the due requests that the service sustained, 0 to 1; None if none was due."""
    if not load.planned:
        return None
    succeeded = sum(second.succeeded for second in load.seconds)
    inside = sum(second.succeeded for second in load.seconds if second.index < window_s)
    if load.backlog is not None:
        counted = _counted(load.backlog, load.planned, succeeded, inside, window_s)
    elif (fastest_s := _stated_minimum(load)) is not None:
        # k6 does not report when requests were due: as many may be in flight as arrive while the fastest was
        counted = inside + min(succeeded - inside, math.floor(load.planned / window_s * fastest_s) + 1)
    else:
        return _by_throughput(load, target, window_s)
    return min(1.0, counted / load.planned)


def _counted(backlog: Backlog, planned: int, succeeded: int, inside: int, window_s: Seconds) -> int:
    if succeeded >= _NEARLY_ALL * planned and not _grows(backlog, window_s):
        return succeeded
    return inside + _not_above(backlog.late, backlog.slowest_first_s + backlog.beginning_s)


def _grows(backlog: Backlog, window_s: Seconds) -> bool:
    """Return whether response times grow over the window, by linear regression on when requests were due.

    The growth must be larger than what the measurement resolves, than the scatter of response times around
    the regression line, and than chance (standard error of the slope, Draper and Smith, *Applied Regression
    Analysis*, 1.4).
    """
    n, x, y, xx, xy, yy = backlog.sums
    if n < _FEWEST:
        return False
    spread_x, spread_y, common = xx - x * x / n, yy - y * y / n, xy - x * y / n
    if spread_x <= 0:
        return False
    slope = common / spread_x
    scatter = math.sqrt(max(0.0, spread_y - slope * common) / (n - 2))
    chance = _SIGNIFICANT * scatter / math.sqrt(spread_x) * window_s
    return slope * window_s > max(backlog.beginning_s, scatter, chance)


def _not_above(histogram: Histogram, limit_s: Seconds) -> int:
    limit_us = limit_s * US_PER_S
    return sum(count for bucket, count in histogram.counts.items() if lowest_us(bucket) <= limit_us)


def _stated_minimum(load: LoadFacts) -> Seconds | None:
    stated = (load.stated_ms or {}).get("duration") or {}
    minimum = stated.get("min")
    return None if minimum is None else minimum / 1000


def _by_throughput(load: LoadFacts, target: PerSecond, window_s: Seconds) -> float:
    """Return throughput ÷ target rate, the definition of facts that were recorded before version 0.2.0."""
    completed = sum(second.completed for second in load.seconds if 0 <= second.index < window_s)
    return min(1.0, round(completed / window_s, 4) / target)
