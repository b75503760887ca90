"""The counters that nginx and the app publish over HTTP."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from runner.observe.bounds import MAX_LINE_CHARACTERS, MAX_SERIES, BoundExceeded, as_float
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.requests import requests_total

_NGINX: Final = re.compile(
    r"Active connections:\s*(?P<active>\d+)\s+server accepts handled requests\s+"
    r"(?P<accepts>\d+)\s+(?P<handled>\d+)\s+(?P<requests>\d+)"
)
_GC: Final = (
    "app_gc_pause_seconds_total",
    "app_gc_seconds_total",
    "python_gc_seconds_total",
    "go_gc_duration_seconds_sum",
    "go_gc_pauses_seconds_sum",
    "go_sched_pauses_total_gc_seconds_sum",
    "jvm_gc_pause_seconds_sum",
    "jvm_gc_collection_seconds_sum",
    "jvm_gc_duration_seconds_sum",
    "nodejs_gc_duration_seconds_sum",
)
_LAG: Final = (
    "app_event_loop_lag_seconds",
    "python_event_loop_lag_seconds",
    "nodejs_eventloop_lag_mean_seconds",
    "nodejs_eventloop_lag_seconds",
    "go_sched_latencies_seconds",
)
_MAX_LAG: Final = ("nodejs_eventloop_lag_max_seconds",)


def nginx_status(text: str, limit: int | None = None) -> Levels:
    """Return the counters of ngx_http_stub_status_module.

    Args:
        text: The page.
        limit: How many connections the workers may have at once, where known.

    Raises:
        ValueError: The text is not such a page.
    """
    match = _NGINX.search(text)
    if match is None:
        raise ValueError("not a stub_status page")
    counts = {name: int(value) for name, value in match.groupdict().items()}
    return {
        "nginx.accepts": Level(counts["accepts"], "connections"),
        "nginx.handled": Level(counts["handled"], "connections"),
        "nginx.requests": Level(counts["requests"], "requests"),
        "nginx.active": gauge(counts["active"], "connections", limit=limit),
    }


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is used of one page of Prometheus metrics.

    Attributes:
        samples: Values by name, summed over labels, of a gauge the maximum; buckets also by their bound.
        requests: The app's request counter, None where it has none.
    """

    samples: Mapping[str, float]
    requests: float | None


def parse_metrics(text: str) -> Metrics:
    """Return the values of a page; takes up to a second for the largest page within the bounds.

    Raises:
        BoundExceeded: The page has too many series, or too long ones.
        ValueError: This is not the text format.
    """
    lines = text.splitlines()
    if len(lines) > MAX_SERIES:
        raise BoundExceeded(f"its page has more than {MAX_SERIES:,} lines")
    if max(map(len, lines), default=0) > MAX_LINE_CHARACTERS:
        raise BoundExceeded(f"a line of its page has more than {MAX_LINE_CHARACTERS:,} characters")
    families = list(text_string_to_metric_families(text))
    return Metrics(_samples(families), requests_total(families))


@dataclass(slots=True)
class AppPage:
    """An app's Prometheus metrics: garbage collection, event loop lag and requests.

    A lag kept as a histogram is the average since the last reading, and its peak the bound of the highest
    bucket hit; kept as a gauge it is the app's last value.

    Attributes:
        requests: The app's request counter at each reading, None where it has none.
    """

    requests: list[float | None] = field(default_factory=list)
    _before: Mapping[str, float] = field(default_factory=dict)

    def read(self, metrics: Metrics) -> Levels:
        """Return levels by the names that the usual libraries for Python, Go, the JVM and Node use."""
        self.requests.append(metrics.requests)
        before, now = self._before, metrics.samples
        self._before = now
        levels: dict[str, Level] = {}
        if (gc_s := _first(now, _GC)) is not None:
            levels["app.gc_s"] = Level(gc_s, "s")
        if (lag := _lag(before, now)) is not None:
            levels["app.event_loop_lag_s"] = lag
        return levels


def _samples(families: Iterable[Metric]) -> dict[str, float]:
    """Return values summed by name; buckets also by their bound. They may be infinite or NaN."""
    samples: dict[str, float] = {}
    for family in families:
        combine = max if family.type == "gauge" else operator.add
        for sample in family.samples:
            bound = sample.labels.get("le") if sample.name.endswith("_bucket") else None
            name = sample.name if bound is None else f"{sample.name} {float(bound)}"
            value = as_float(sample.value)
            samples[name] = combine(samples[name], value) if name in samples else value
    return samples


def _lag(before: Mapping[str, float], now: Mapping[str, float]) -> Level | None:
    value = _first(now, _LAG)
    if value is not None:
        return Level(value, "s", "gauge", peak=_first(now, _MAX_LAG))
    name = next((name for name in _LAG if {f"{name}_count", f"{name}_sum"} <= now.keys()), None)
    if name is None:
        return None
    count, sum_s = (now[name + end] - before.get(name + end, 0.0) for end in ("_count", "_sum"))
    peak = _highest_bucket(f"{name}_bucket ", before, now) if before else 0.0
    return Level(sum_s / count if count > 0 else 0.0, "s", "gauge", peak=peak)


def _highest_bucket(prefix: str, before: Mapping[str, float], now: Mapping[str, float]) -> float | None:
    """Return the upper bound of the highest bucket hit, the last finite one if it was beyond that."""
    bounds = sorted(float(name.removeprefix(prefix)) for name in now if name.startswith(prefix))
    below, highest = 0.0, None
    for bound in bounds:
        name = f"{prefix}{bound}"
        hits = now[name] - before.get(name, 0.0)
        if hits > below:
            highest = bound if math.isfinite(bound) else _last_finite(bounds)
        below = hits
    return highest


def _last_finite(bounds: Sequence[float]) -> float | None:
    return max((bound for bound in bounds if math.isfinite(bound)), default=None)


def _first(samples: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    return next((samples[name] for name in names if name in samples), None)
