"""The service's own counters: plain numbers that become Prometheus metrics when scraped.

A garbage collection may begin anywhere, even while a metric's lock is held, so code that runs within one must
not take a lock. The counters are therefore not those of prometheus-client.
"""

from __future__ import annotations

import asyncio
import gc
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

_LAG_EVERY_S: Final = 0.05
_LAG_BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Telemetry(Collector):
    """Requests, garbage collections and the event loop's lag since the start.

    Attributes:
        requests: Finished requests by (path, status).
        in_flight: Requests begun and not finished.
    """

    def __init__(self, sessions: Callable[[], int]) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.in_flight = 0
        self._sessions = sessions
        self._collections = [0, 0, 0]
        self._pause_s = [0.0, 0.0, 0.0]
        self._collecting_since = 0.0
        self._lag_counts = [0] * (len(_LAG_BOUNDS_S) + 1)
        self._lag_sum_s = 0.0

    def registry(self) -> CollectorRegistry:
        """Return a new registry, with the process's CPU, memory and file descriptors."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return registry

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Count and time garbage collections, and measure the event loop's lag."""
        gc.callbacks.append(self._on_collection)
        lag = asyncio.create_task(self._watch_loop())
        yield
        lag.cancel()
        with suppress(asyncio.CancelledError):
            await lag
        gc.callbacks.remove(self._on_collection)

    async def _watch_loop(self) -> None:
        """Measure at fixed intervals how late the event loop wakes its tasks; runs until cancelled."""
        due = time.perf_counter()
        while True:
            due = max(due + _LAG_EVERY_S, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())
            lag = max(0.0, time.perf_counter() - due)
            self._lag_counts[bisect_left(_LAG_BOUNDS_S, lag)] += 1
            self._lag_sum_s += lag

    def collect(self) -> Iterator[Metric]:
        """Yield all counters as Prometheus metrics."""
        requests = CounterMetricFamily("app_requests", "Finished requests.", labels=["path", "status"])
        for (path, status), count in sorted(self.requests.items()):
            requests.add_metric([path, str(status)], count)
        yield requests
        yield GaugeMetricFamily("app_requests_in_flight", "Requests being served.", self.in_flight)
        yield GaugeMetricFamily("app_sessions", "Sessions kept.", self._sessions())
        yield _by_generation("app_gc_collections", "Garbage collections.", self._collections)
        yield _by_generation("app_gc_pause_seconds", "Time in garbage collections.", self._pause_s)
        yield self._lag()

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
            return
        generation = info["generation"]
        self._collections[generation] += 1
        self._pause_s[generation] += time.perf_counter() - self._collecting_since

    def _lag(self) -> HistogramMetricFamily:
        bounds = [*map(str, _LAG_BOUNDS_S), "+Inf"]
        total = 0
        buckets = []
        for bound, count in zip(bounds, self._lag_counts, strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramMetricFamily(
            "app_event_loop_lag_seconds",
            "How late the event loop woke a task.",
            buckets=buckets,
            sum_value=self._lag_sum_s,
        )


def _by_generation(name: str, text: str, values: list[int] | list[float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["generation"])
    for generation, value in enumerate(values):
        family.add_metric([str(generation)], value)
    return family
