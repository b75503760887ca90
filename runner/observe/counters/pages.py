"""What nginx and the app tell about themselves over HTTP."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from runner.observe.counters.level import Level, Levels, gauge

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
_WORST_LAG: Final = ("nodejs_eventloop_lag_max_seconds",)


def nginx_status(text: str, limit: int | None = None) -> Levels:
    """The counters of ngx_http_stub_status_module.

    Args:
        text: The page.
        limit: How many connections the workers may have at once, where known.

    Raises:
        ValueError: This is not its page.
    """
    found = _NGINX.search(text)
    if found is None:
        raise ValueError("not a stub_status page")
    counts = {name: int(value) for name, value in found.groupdict().items()}
    return {
        "nginx.accepts": Level(counts["accepts"], "connections"),
        "nginx.handled": Level(counts["handled"], "connections"),
        "nginx.requests": Level(counts["requests"], "requests"),
        "nginx.active": gauge(counts["active"], "connections", limit=limit),
    }


@dataclass(slots=True)
class AppPage:
    """What an app's Prometheus metrics say of garbage collection and of its event loop.

    A lag kept as a histogram is the average since the last reading, its peak the bound of the highest
    bucket that was hit; kept as a gauge it is what the app last saw.
    """

    _before: Mapping[str, float] = field(default_factory=dict)

    def read(self, text: str) -> Levels:
        """Levels by the names that the usual libraries for Python, Go, the JVM and Node use.

        Raises:
            ValueError: This is not the text format.
        """
        before, now = self._before, _samples(text)
        self._before = now
        found: dict[str, Level] = {}
        if (gc_s := _first(now, _GC)) is not None:
            found["app.gc_s"] = Level(gc_s, "s")
        if (lag := _lag(before, now)) is not None:
            found["app.event_loop_lag_s"] = lag
        return found


def _samples(text: str) -> dict[str, float]:
    """Series summed by name; buckets also by their bound."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            bound = sample.labels.get("le") if sample.name.endswith("_bucket") else None
            name = sample.name if bound is None else f"{sample.name} {float(bound)}"
            more = max if family.type == "gauge" else operator.add
            found[name] = more(found[name], sample.value) if name in found else sample.value
    return found


def _lag(before: Mapping[str, float], now: Mapping[str, float]) -> Level | None:
    told = _first(now, _LAG)
    if told is not None:
        worst = _first(now, _WORST_LAG)
        return Level(told, "s", "gauge", peak=worst)
    name = next((name for name in _LAG if f"{name}_count" in now), None)
    if name is None:
        return None
    beats, summed_s = (now[name + end] - before.get(name + end, 0.0) for end in ("_count", "_sum"))
    worst = _highest_bucket(f"{name}_bucket ", before, now) if before else 0.0
    return Level(summed_s / beats if beats > 0 else 0.0, "s", "gauge", peak=worst)


def _highest_bucket(prefix: str, before: Mapping[str, float], now: Mapping[str, float]) -> float | None:
    """Upper bound of the highest bucket that was hit; of the last finite one when it was beyond that."""
    bounds = sorted(float(name.removeprefix(prefix)) for name in now if name.startswith(prefix))
    below, highest = 0.0, None
    for bound in bounds:
        name = f"{prefix}{bound}"
        hit = now[name] - before.get(name, 0.0)
        if hit > below:
            highest = bound if math.isfinite(bound) else _last_finite(bounds)
        below = hit
    return highest


def _last_finite(bounds: Sequence[float]) -> float | None:
    """The last bound that is a number."""
    return max((bound for bound in bounds if math.isfinite(bound)), default=None)


def _first(samples: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    return next((samples[name] for name in names if name in samples), None)
