"""The metrics of a run in progress as OpenTelemetry has them: cumulative sums, gauges and histograms."""

from __future__ import annotations

import math

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from runner.outputs.live_families import Family, Type, values
from runner.outputs.live_points import Point
from runner.outputs.live_totals import BOUNDS_S, Buckets, LiveTotals


def metrics_of(totals: LiveTotals, resource: Resource, scope: str, now_s: float) -> MetricsData:
    """Return every metric that has a value.

    Args:
        totals: Of the run.
        resource: What the metrics are about.
        scope: Name of what makes them.
        now_s: Unix time.
    """
    since, now = round(totals.times.begin * 1e9), round(now_s * 1e9)
    metrics = [_metric(family, points, since, now) for family, points in values(totals)]
    scoped = ScopeMetrics(InstrumentationScope(scope), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scoped], "")])


def _metric(family: Family, points: list[Point], since: int, now: int) -> Metric:
    return Metric(family.name, family.meaning, family.unit, _data(family, points, since, now))


def _data(family: Family, points: list[Point], since: int, now: int) -> Sum | Gauge | Histogram:
    if family.type is Type.HISTOGRAM:
        return Histogram(
            [_distribution(family, point, since, now) for point in points], AggregationTemporality.CUMULATIVE
        )
    numbers = [_number(family, point, since, now) for point in points]
    if family.type is Type.GAUGE:
        return Gauge(numbers)
    return Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True)


def _number(family: Family, point: Point, since: int, now: int) -> NumberDataPoint:
    assert not isinstance(point.value, Buckets)
    labels = dict(zip(family.labels, point.labels, strict=True))
    return NumberDataPoint(labels, since if family.type is Type.COUNTER else 0, now, point.value)


def _distribution(family: Family, point: Point, since: int, now: int) -> HistogramDataPoint:
    assert isinstance(point.value, Buckets)
    buckets = point.value
    labels = dict(zip(family.labels, point.labels, strict=True))
    count = sum(buckets.counts)
    return HistogramDataPoint(
        labels, since, now, count, buckets.sum_s, buckets.counts, BOUNDS_S, math.inf, -math.inf
    )
