"""What it costs the runner to keep the metrics of a run, to serve them and to push them.

Seconds of a busy mix go through what a run uses: totals, the text for Prometheus, and OTLP messages. Nothing
is sent, so that only the runner's own work is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from runner.core import histogram
from runner.core.live import RunBegins, Second, TrialBegins
from runner.core.load_facts import LoadSecond
from runner.core.metrics import LATENCIES
from runner.outputs.live_totals import LiveTotals
from runner.outputs.open_metrics import LiveCollector
from runner.outputs.otlp_metrics import metrics_of

Row = tuple[str, str, str, bool]
MIX = 8
STAGES = 10
RATE = 4000
SECONDS = 20
EVERY_S = 5
WANTED_CORES = 0.01


def outputs() -> Iterator[Row]:
    """Yield the cores that metrics cost in a run of ten stages at 4,000 RPS, of one request and of a mix."""
    for requests, every_s in ((1, 1), (MIX, EVERY_S)):
        totals = _totals(requests)
        registry = CollectorRegistry()
        registry.register(LiveCollector(totals))
        cores = (
            _cost(partial(totals.load, _second(requests)))
            + _cost(partial(generate_latest, registry)) / every_s
        )
        yield _row(f"Prometheus reads every {every_s} s, {requests} requests", cores)
    cores = _cost(partial(totals.load, _second(MIX))) + _cost(partial(_message, totals)) / EVERY_S
    yield _row(f"OTLP is pushed every {EVERY_S} s, {MIX} requests", cores)


def _row(what: str, cores: float) -> Row:
    return what, f"{cores:.4f} cores", f"at most {WANTED_CORES}", cores <= WANTED_CORES


def _message(totals: LiveTotals) -> bytes:
    return encode_metrics(metrics_of(totals, Resource({}), "bench", 0.0)).SerializeToString()


def _cost(work: Callable[[], object]) -> float:
    """Return the CPU seconds that some work takes, as the median of many times."""
    taken = []
    for _ in range(SECONDS):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return sorted(taken)[SECONDS // 2]


def _totals(requests: int) -> LiveTotals:
    """Return the totals of a run in its last stage."""
    totals = LiveTotals()
    totals.record(RunBegins("bench", "run", "2026-01-01T00:00:00+00:00", 1, 1, "boot", 1, ()))
    for number in range(1, STAGES + 1):
        totals.record(TrialBegins(0.0, number, STAGES, "", "one", f"stage {number}", 1.0, 60.0, "open"))
        totals.load(_second(requests))
    cores = dict.fromkeys(("app", "proxy", "generator", "runner", "system"), 0.5)
    totals.record(Second(0.0, 1.0, RATE, p95_ms=1.0, cores=cores, memory_bytes=dict.fromkeys(cores, 1)))
    return totals


def _second(requests: int) -> LoadSecond:
    parts = {f"request {number}": _part(RATE // requests, number) for number in range(requests)}
    return LoadSecond(0, parts=parts)


def _part(count: int, seed: int) -> LoadSecond:
    random = Random(seed)
    times = histogram.of(int(random.lognormvariate(0, 1) * 1e6) for _ in range(count))
    return LoadSecond(0, count, count, count, **{kind.name: times for kind in LATENCIES})
