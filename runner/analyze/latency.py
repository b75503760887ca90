"""Latency statistics of a stage, from merged histograms or as an engine reports them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET

from runner.analyze.statistics import rounded
from runner.core import histogram
from runner.core.codes import Unbounded
from runner.core.histogram import HIGHEST_US, Histogram, bucket, lowest_us
from runner.core.load_facts import LoadFacts
from runner.core.measured import Latency
from runner.core.metrics import STATISTICS

_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
_SHARES: Final = (*range(0, 100, 10), 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.995, 99.999)
"""Percentiles of a whole distribution, denser towards the slowest."""
_OF_ALL_REQUESTS: Final = ("duration", "response_time", "first_byte")
"""Latencies that a request has only if it succeeds."""
_RESOLVED_MS: Final = lowest_us(bucket(HIGHEST_US)) / 1000
"""From here on, histograms do not tell values apart."""
_MIN_ABOVE: Final = 1
"""A percentile is shown if at least this many requests lie above it."""


def latency(load: LoadFacts | None, name: str) -> Latency:
    """Return mean, percentiles and maximum in milliseconds; all None if nothing was recorded.

    The name is one of `runner.core.metrics.LATENCIES`.
    """
    if load is None:
        return Latency()
    if load.stated_ms is not None:
        return _stated(load, name, load.stated_ms.get(name) or {})
    values = _merged(load, name)
    lost = _lost(load) if name in _OF_ALL_REQUESTS else 0
    if not values.counts and not lost:
        return Latency()
    percentiles, unbounded = _percentiles(values, lost)
    known = {"mean": values.mean_ms, "max": values.max_ms, **percentiles}
    if lost:
        unbounded["max"] = Unbounded.LOST
    return Latency(
        **{statistic: rounded(value) for statistic, value in known.items()}, unbounded=unbounded or UNSET
    )


def percentiles_of_all(values: Histogram, lost: int, shares: Sequence[float]) -> list[float]:
    """Return percentiles in milliseconds of recorded values and of as many infinite ones as were lost.

    Args:
        values: Of the successful responses.
        lost: Number of requests that failed or were never sent.
        shares: Per cent, ascending.
    """
    found, total = values.count, values.count + lost
    ranks = [max(1, math.ceil(round(share * total / 100, 6))) for share in shares]
    finite = values.percentiles_ms([rank / found * 100 for rank in ranks if rank <= found])
    return [*finite, *[math.inf] * (len(ranks) - len(finite))]


def _percentiles(values: Histogram, lost: int) -> tuple[dict[str, float | None], dict[str, Unbounded]]:
    """Return the percentiles that have a finite value, and why the others have none."""
    found: dict[str, float | None] = {}
    unbounded = {}
    all_ms = percentiles_of_all(values, lost, list(_PERCENTILES.values()))
    for statistic, ms in zip(_PERCENTILES, all_ms, strict=True):
        if math.isinf(ms):
            unbounded[statistic] = Unbounded.LOST
        elif ms >= _RESOLVED_MS and values.max_ms != _RESOLVED_MS:
            unbounded[statistic] = Unbounded.OUT_OF_RANGE
        found[statistic] = None if statistic in unbounded else ms
    return found, unbounded


def _lost(load: LoadFacts) -> int:
    return sum(sum(second.failures.values()) + second.dropped for second in load.seconds)


def _stated(load: LoadFacts, name: str, stated: Mapping[str, float | None]) -> Latency:
    """Return what an engine states of successful responses, without what lies among the others."""
    succeeded, lost = sum(second.succeeded for second in load.seconds), _lost(load)
    unbounded = {}
    if name in _OF_ALL_REQUESTS and lost and any(value is not None for value in stated.values()):
        among = {
            name: share
            for name, share in _PERCENTILES.items()
            if share * (succeeded + lost) > 100 * succeeded
        }
        unbounded = dict.fromkeys([*among, "max"], Unbounded.LOST)
    known = {
        statistic: None if statistic in unbounded and statistic in _PERCENTILES else stated.get(statistic)
        for statistic in STATISTICS
    }
    return Latency(**known, unbounded=unbounded or UNSET)


def distribution(load: LoadFacts | None) -> tuple[tuple[float, float], ...] | None:
    """Return pairs of percentile and response time in milliseconds, as far as there are enough requests.

    An engine that keeps no histograms has none, and neither has a stage without a response.
    """
    if load is None or load.stated_ms is not None:
        return None
    values, lost = _merged(load, "response_time"), _lost(load)
    total = values.count + lost
    shares = [share for share in _SHARES if total * (100 - share) >= 100 * _MIN_ABOVE]
    if not shares or not values.count:
        return None
    pairs = zip(shares, percentiles_of_all(values, lost, shares), strict=True)
    return tuple((share, round(ms, 4)) for share, ms in pairs if math.isfinite(ms)) or None


def _merged(load: LoadFacts, name: str) -> Histogram:
    return histogram.merge(getattr(second, name) for second in load.seconds)
