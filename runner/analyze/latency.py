"""Latency figures of a stage, from merged histograms or as an engine states them."""

from __future__ import annotations

from typing import Final

from runner.core import histogram
from runner.core.facts import LoadFacts, LoadSecond
from runner.core.histogram import Histogram

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
STATISTICS: Final = ("mean", *PERCENTILES, "max")
LATENCIES: Final = ("duration", "response_time", "connect", "tls", "dispatch_delay", "first_byte")

SHARES: Final = (*range(0, 100, 10), 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.99, 99.995, 99.999)
"""Percentiles of a whole distribution, denser towards the slowest."""

Figures = dict[str, float | None]


def figures(values: Histogram) -> Figures:
    """Mean, percentiles and maximum in milliseconds; all None when nothing was recorded."""
    if not values.counts:
        return unknown()
    found = values.percentiles_ms(PERCENTILES.values())
    shown: Figures = {"mean": values.mean_ms}
    shown |= dict(zip(PERCENTILES, found, strict=True))
    shown["max"] = values.max_ms
    return {name: None if value is None else round(value, 4) for name, value in shown.items()}


def unknown() -> Figures:
    """Figures of something that was not measured."""
    return dict.fromkeys(STATISTICS)


def latencies(load: LoadFacts | None) -> dict[str, Figures]:
    """``duration_ms`` and its like, each with all statistics."""
    return {f"{name}_ms": _latency(load, name) for name in LATENCIES}


def _latency(load: LoadFacts | None, name: str) -> Figures:
    if load is None:
        return unknown()
    if load.stated_ms is not None:
        stated = load.stated_ms.get(name) or {}
        return {statistic: stated.get(statistic) for statistic in STATISTICS}
    return figures(merged(load.seconds, name))


def distribution(load: LoadFacts | None) -> list[list[float]] | None:
    """Pairs of percentile and response time in milliseconds, as far as there were enough requests to tell.

    None for an engine that keeps no histograms, and when nothing was answered.
    """
    if load is None or load.stated_ms is not None:
        return None
    values = merged(load.seconds, "response_time")
    shares = [share for share in SHARES if values.count * (100 - share) >= 100]
    if not shares:
        return None
    return [[share, round(ms, 4)] for share, ms in zip(shares, values.percentiles_ms(shares), strict=True)]


def merged(seconds: tuple[LoadSecond, ...], name: str) -> Histogram:
    """One histogram of all seconds."""
    return histogram.merge(getattr(second, name) for second in seconds)
