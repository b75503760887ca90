"""Latency figures of a stage, from merged histograms or as an engine states them."""

from __future__ import annotations

from typing import Final

from runner import histogram
from runner.facts import LoadFacts, LoadSecond
from runner.histogram import Histogram

PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
STATISTICS: Final = ("mean", *PERCENTILES, "max")
LATENCIES: Final = ("duration", "response_time", "connect", "tls", "dispatch_delay", "first_byte")

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


def merged(seconds: tuple[LoadSecond, ...], name: str) -> Histogram:
    """One histogram of all seconds."""
    return histogram.merge(getattr(second, name) for second in seconds)
