"""What nginx and the app tell about themselves over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from runner.observe.counters.level import Level, Levels, gauge

_NGINX: Final = re.compile(
    r"Active connections:\s*(?P<active>\d+)\s+server accepts handled requests\s+"
    r"(?P<accepts>\d+)\s+(?P<handled>\d+)\s+(?P<requests>\d+)"
)
_GC: Final = (
    "app_gc_seconds_total",
    "python_gc_seconds_total",
    "go_gc_duration_seconds_sum",
    "jvm_gc_pause_seconds_sum",
    "jvm_gc_collection_seconds_sum",
    "nodejs_gc_duration_seconds_sum",
)
_LAG: Final = (
    "app_event_loop_lag_seconds",
    "python_event_loop_lag_seconds",
    "nodejs_eventloop_lag_seconds",
    "nodejs_eventloop_lag_mean_seconds",
)


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


def app_metrics(text: str) -> Levels:
    """Garbage collection and event-loop lag from Prometheus text, by the usual libraries' names.

    Raises:
        ValueError: This is not the text format.
    """
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name] = samples.get(sample.name, 0.0) + sample.value
    found: dict[str, Level] = {}
    if (gc_s := _first(samples, _GC)) is not None:
        found["app.gc_s"] = Level(gc_s, "s")
    if (lag_s := _first(samples, _LAG)) is not None:
        found["app.event_loop_lag_s"] = gauge(lag_s, "s")
    return found


def _first(samples: Mapping[str, float], names: tuple[str, ...]) -> float | None:
    return next((samples[name] for name in names if name in samples), None)
