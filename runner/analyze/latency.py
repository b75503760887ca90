"""Latency statistics of a stage, from merged histograms or as an engine reports them."""

from __future__ import annotations

from typing import Final

from runner.analyze.statistics import rounded
from runner.core import histogram
from runner.core.facts import LoadFacts
from runner.core.histogram import Histogram
from runner.core.metrics import STATISTICS
from runner.core.results import Latency

_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
_SHARES: Final = (*range(0, 100, 10), 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.995, 99.999)
"""Percentiles of a whole distribution, denser towards the slowest."""
_MIN_ABOVE: Final = 1
"""A percentile is shown if at least this many requests lie above it."""


def latency(load: LoadFacts | None, name: str) -> Latency:
    """Return mean, percentiles and maximum in milliseconds; all None if nothing was recorded.

    The name is one of `runner.core.metrics.LATENCIES`.
    """
    if load is None:
        return Latency()
    if load.stated_ms is not None:
        stated = load.stated_ms.get(name) or {}
        return Latency(**{statistic: stated.get(statistic) for statistic in STATISTICS})
    values = _merged(load, name)
    if not values.counts:
        return Latency()
    percentiles = dict(zip(_PERCENTILES, values.percentiles_ms(_PERCENTILES.values()), strict=True))
    known = {"mean": values.mean_ms, "max": values.max_ms, **percentiles}
    return Latency(**{statistic: rounded(value) for statistic, value in known.items()})


def distribution(load: LoadFacts | None) -> tuple[tuple[float, float], ...] | None:
    """Return pairs of percentile and response time in milliseconds, as far as there are enough requests.

    An engine that keeps no histograms has none, and neither has a stage without a response.
    """
    if load is None or load.stated_ms is not None:
        return None
    values = _merged(load, "response_time")
    shares = [share for share in _SHARES if values.count * (100 - share) >= 100 * _MIN_ABOVE]
    if not shares:
        return None
    pairs = zip(shares, values.percentiles_ms(shares), strict=True)
    return tuple((share, round(ms, 4)) for share, ms in pairs)


def _merged(load: LoadFacts, name: str) -> Histogram:
    return histogram.merge(getattr(second, name) for second in load.seconds)
