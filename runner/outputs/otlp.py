"""Pushes the metrics of a run, and the run as spans, to an OpenTelemetry collector over HTTP.

The collector may be down, slow or broken: a thread of its own pushes, and the run never waits for it; at the
end it is given a few seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from runner.core.errors import EnvironmentLacks, UsageError
from runner.core.results import Results
from runner.installation import how_to_add
from runner.outputs.live_totals import LiveTotals

if TYPE_CHECKING:  # the extra `otel` need not be installed
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource

_EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 2.0
_AT_THE_END_S: Final = 4.5
_SCOPE: Final = "loadproof"
_SIGNALS: Final = ("/v1/metrics", "/v1/traces")


class OtlpPush:
    """Pushes the totals of one run every few seconds, from its own thread.

    Args:
        url: Of the collector, such as ``http://localhost:4318``; headers are those of the environment
            variable OTEL_EXPORTER_OTLP_HEADERS.
        totals: Of the run.

    Raises:
        UsageError: The URL is none, or contains a password.
        EnvironmentLacks: The extra `otel` is not installed.
    """

    def __init__(self, url: str, totals: LiveTotals) -> None:
        self.url = collector_url(url)
        self._totals = totals
        self._metrics, self._spans, self._resource = _exporters(self.url)
        self._results: Results | None = None
        self._is_over = Event()
        self._pushes = self._failures = 0
        self._is_done = False
        self._thread = Thread(target=self._run, name="otlp", daemon=True)

    @property
    def is_finished(self) -> bool:
        """Whether `finish` was called."""
        return self._is_over.is_set()

    def start(self) -> None:
        """Start to push."""
        self._thread.start()

    def finish(self, results: Results | None) -> str:
        """Push what is left, within five seconds, and return what went wrong, as a sentence; else empty.

        Args:
            results: Of the run; None where it has none, and so no spans.
        """
        self._results = results
        self._is_over.set()
        self._thread.join(_AT_THE_END_S)
        where = f"the collector at {self.url}"
        if not self._is_done:
            return f"{where} is too slow: it may have missed the end of this run."
        if not self._failures:
            return ""
        took = "none" if self._failures == self._pushes else f"{self._pushes - self._failures}"
        return (
            f"{where} took {took} of {self._pushes} pushes; see whether it runs, and accepts OTLP over HTTP."
        )

    def _run(self) -> None:
        try:
            while not self._is_over.wait(_EVERY_S):
                if self._totals.run:
                    self._push(self._push_metrics)
            self._push(self._push_metrics)
            if self._results:
                self._push(self._push_spans)
        finally:
            self._is_done = True

    def _push(self, push: Callable[[], bool]) -> None:
        """Count a push; whatever a library raises, the run goes on."""
        self._pushes += 1
        try:
            self._failures += not push()
        except Exception:  # noqa: BLE001  (a broken answer must not end the thread)
            self._failures += 1

    def _push_metrics(self) -> bool:
        from opentelemetry.sdk.metrics.export import MetricExportResult  # noqa: PLC0415

        from runner.outputs.otlp_metrics import metrics_of  # noqa: PLC0415

        data = metrics_of(self._totals, self._resource, _SCOPE, time.time())
        return self._metrics.export(data) is MetricExportResult.SUCCESS

    def _push_spans(self) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415

        from runner.outputs.otlp_spans import spans_of  # noqa: PLC0415

        assert self._results is not None
        spans = spans_of(self._results, self._totals, self._resource, _SCOPE)
        return self._spans.export(spans) is SpanExportResult.SUCCESS


def collector_url(url: str) -> str:
    """Return the address of a collector without the path of a signal.

    Raises:
        UsageError: It is none, or contains a password, which would be stored with the command of the run.
    """
    hint = "give the address of an OTLP/HTTP receiver, such as --otlp http://localhost:4318"
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or not url.isprintable() or " " in url:
        raise UsageError("--otlp needs an http:// or https:// address", hint=hint)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            "the address of --otlp must have no user, password or query, because it is stored",
            hint="set OTEL_EXPORTER_OTLP_HEADERS, such as Authorization=Bearer%20TOKEN",
        )
    base = url.rstrip("/")
    return next((base.removesuffix(end) for end in _SIGNALS if base.endswith(end)), base)


def _exporters(url: str) -> tuple[OTLPMetricExporter, OTLPSpanExporter, Resource]:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    except ImportError:
        raise EnvironmentLacks(
            "--otlp needs the OpenTelemetry SDK, which is not installed",
            hint=how_to_add("otel"),
        ) from None
    _silence(logging.getLogger("opentelemetry"))
    metrics = OTLPMetricExporter(f"{url}{_SIGNALS[0]}", timeout=_TIMEOUT_S)
    spans = OTLPSpanExporter(f"{url}{_SIGNALS[1]}", timeout=_TIMEOUT_S)
    return metrics, spans, Resource.create({"service.name": _SCOPE})


def _silence(logger: logging.Logger) -> None:
    """Let the libraries log nothing: what matters is one sentence at the end."""
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
