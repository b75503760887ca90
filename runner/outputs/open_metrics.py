"""Serves the metrics of a run in progress to Prometheus, in OpenMetrics or in its older text format."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from runner.core.errors import EnvironmentLacks
from runner.outputs.live_families import Family, Type, values
from runner.outputs.live_points import Point
from runner.outputs.live_totals import BOUNDS_S, Buckets, LiveTotals

_MAX_READERS: Final = 8
_UNITS: Final = ("seconds", "bytes", "cores")
_LOOK_S: Final = 0.1
"""How often the thread looks whether the run has ended."""
_PATIENCE_S: Final = 5
"""How long a connection may take to send its request, and to take each part of the answer."""


class LiveCollector(Collector):
    """Reads the totals of a run when it is scraped."""

    def __init__(self, totals: LiveTotals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        """Yield every metric that has a value."""
        for family, points in values(self._totals, recent=True):
            yield _metric(family, points, self._totals.times.begin)


def _metric(family: Family, points: list[Point], begun_at: float) -> Metric:
    unit = next((unit for unit in _UNITS if family.name.endswith(f"_{unit}")), "")
    if family.type is Type.GAUGE:
        gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels, unit=unit)
        for point in points:
            gauge.add_metric(point.labels, _number(point))
        return gauge
    if family.type is Type.COUNTER:
        counter = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
        for point in points:
            counter.add_metric(point.labels, _number(point), created=begun_at)
        return counter
    histogram = HistogramMetricFamily(family.name, family.meaning, labels=family.labels, unit=unit)
    for point in points:
        assert isinstance(point.value, Buckets)
        histogram.add_metric(point.labels, _cumulative(point.value), point.value.sum_s)
    return histogram


def _number(point: Point) -> float:
    assert not isinstance(point.value, Buckets)
    return point.value


def _cumulative(buckets: Buckets) -> list[tuple[str, float]]:
    """Return pairs of an upper bound and the number of values up to it."""
    total = 0
    pairs: list[tuple[str, float]] = []
    for bound, count in zip((*BOUNDS_S, float("inf")), buckets.counts, strict=True):
        total += count
        pairs.append(("+Inf" if bound == float("inf") else str(bound), total))
    return pairs


class _Server(ThreadingMixIn, WSGIServer):
    """Answers a few readers at a time; the others are turned away."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._free = BoundedSemaphore(_MAX_READERS)
        super().__init__(*arguments, **keywords)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there is one left."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one reader."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a reader that went away is no fault of the run."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the base class)
        """Say nothing."""

    def get_stderr(self) -> Any:
        """Return where errors go: nowhere."""
        return _NOWHERE

    def handle(self) -> None:
        """Answer, unless the reader does not send its request in time."""
        try:
            super().handle()
        except OSError:
            self.close_connection = True


class _Nowhere:
    """A stream that keeps nothing."""

    def write(self, text: str) -> int:
        """Forget a text."""
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


_NOWHERE: Final = _Nowhere()


@contextmanager
def metrics_server(totals: LiveTotals, host: str, port: int) -> Iterator[str]:
    """Serve the metrics of a run, and provide the address that answers.

    The thread that answers ends with the process, so that what is last known can be read until then.

    Args:
        totals: Of the run.
        host: Name or address of this machine to listen on.
        port: 0 for a free one.

    Raises:
        EnvironmentLacks: The port is taken, or the host is no address of this machine.
    """
    server = _listening(totals, host, port)
    Thread(target=server.serve_forever, args=(_LOOK_S,), name="metrics", daemon=True).start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{shown}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()


def _listening(totals: LiveTotals, host: str, port: int) -> WSGIServer:
    registry = CollectorRegistry()
    registry.register(LiveCollector(totals))
    kind = _Server6 if ":" in host else _Server
    try:
        return make_server(host, port, make_wsgi_app(registry), kind, _Handler)
    except OSError as error:
        raise EnvironmentLacks(
            f"metrics cannot be served on {host}, port {port}: {error.strerror or error}",
            hint="choose another port with --metrics-port, or another address with --metrics-host",
        ) from None
