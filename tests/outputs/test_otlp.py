"""A collector gets metrics and spans over HTTP as OpenTelemetry defines them; a bad one disturbs no run."""

from __future__ import annotations

import gzip
import http.server
import socket
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from runner.cli.exit_codes import code_for
from runner.core.codes import Validity
from runner.core.errors import EnvironmentLacks, UsageError
from runner.core.judgements import StageValidity, ThresholdResult
from runner.core.live import RunEnds, TrialEnds
from runner.installation import how_to_add
from runner.outputs.live_totals import LiveTotals
from runner.outputs.otlp import OtlpPush, collector_url
from tests.outputs.test_open_metrics import BEGIN, load, second, trial
from tests.report.stored_results import first_stage, stored, with_stage

_SOON_S = 20


class Receiver(http.server.ThreadingHTTPServer):
    """A collector that decodes what it gets."""

    def __init__(self, status=200, answer=b""):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.answer = status, answer
        self.metrics, self.spans, self.headers = [], [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.headers.append(self.headers)
        if self.path == "/v1/metrics":
            self.server.metrics.append(ExportMetricsServiceRequest.FromString(body))
        elif self.path == "/v1/traces":
            self.server.spans.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        pass


@contextmanager
def receiving(**options):
    with Receiver(**options) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def totals():
    """Those of a run of which one stage has ended."""
    run = LiveTotals()
    for record in (BEGIN, trial()):
        run.record(record)
    run.load(load())
    for record in (second(), TrialEnds(1e9 + 6, 1, "complete"), RunEnds(1e9 + 7, "complete")):
        run.record(record)
    return run


def pushed(totals, results, **options):
    """What a collector has after a run, and what the run says of it."""
    with receiving(**options) as server:
        push = OtlpPush(server.url, totals)
        push.start()
        problem = push.finish(results)
    return server, problem


def attributes_of(span):
    return {one.key: one.value for one in span.attributes}


def test_the_collector_gets_the_same_numbers_as_prometheus(totals):
    server, problem = pushed(totals, None)

    (request,) = server.metrics
    (resource,) = request.resource_metrics
    assert {one.key: one.value.string_value for one in resource.resource.attributes}[
        "service.name"
    ] == "loadproof"
    metrics = {one.name: one for one in resource.scope_metrics[0].metrics}
    requests = metrics["loadproof_requests"].sum
    ends = {attributes_of(point)["result"].string_value: point.as_int for point in requests.data_points}
    assert (requests.is_monotonic, ends) == (True, {"succeeded": 2, "timeout": 1})
    (times,) = metrics["loadproof_request_duration_seconds"].histogram.data_points
    assert (times.count, sum(times.bucket_counts)) == (2, 2)
    assert times.sum == pytest.approx(0.702)
    assert len(times.bucket_counts) == len(times.explicit_bounds) + 1
    assert metrics["loadproof_memory_bytes"].unit == "By"
    assert (server.spans, problem) == ([], "")


def test_a_run_is_a_span_and_its_stages_are_its_children(totals):
    results = stored("single-process")
    stage = first_stage(results)

    server, problem = pushed(totals, results)

    (request,) = server.spans
    whole, child = request.resource_spans[0].scope_spans[0].spans
    assert (whole.parent_span_id, child.parent_span_id) == (b"", whole.span_id)
    assert whole.trace_id == child.trace_id
    assert child.end_time_unix_nano - child.start_time_unix_nano == 6_000_000_000
    assert whole.end_time_unix_nano == int((1e9 + 7) * 1e9)
    values = attributes_of(child)
    assert values["loadproof.verdict"].string_value == stage.verdict.code
    assert values["loadproof.actual_rps"].double_value == stage.actual_rps
    assert values["loadproof.response_time.p95_ms"].double_value == stage.response_time_ms.p95
    assert child.status.code == child.status.STATUS_CODE_OK
    assert problem == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"thresholds": (ThresholdResult("errors < 1%", ok=False, value=0.25),)},
            "threshold failed: errors < 1%",
        ),
        ({"validity": StageValidity(Validity.INVALID, ("a worker died",))}, "invalid: a worker died"),
    ],
    ids=["threshold", "invalid"],
)
def test_a_stage_that_fails_is_an_error_and_so_is_its_run(totals, change, words):
    server, _ = pushed(totals, with_stage(stored("single-process"), **change))

    whole, child = server.spans[0].resource_spans[0].scope_spans[0].spans
    assert child.status.code == whole.status.code == child.status.STATUS_CODE_ERROR
    assert words in child.status.message
    assert first_stage(stored("single-process")).title in whole.status.message


def test_the_headers_of_the_environment_are_sent(totals, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")

    server, _ = pushed(totals, stored("single-process"))

    assert {headers["authorization"] for headers in server.headers} == {"Bearer secret"}


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_a_collector_that_is_down_is_noted_once_and_nothing_else(totals, closed_port, capfd):
    push = OtlpPush(f"http://127.0.0.1:{closed_port}", totals)
    push.start()

    problem = push.finish(stored("single-process"))

    assert f"http://127.0.0.1:{closed_port}" in problem
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("status", "answer"), [(500, b"no"), (403, b""), (404, b"\xff" * 5000)])
def test_a_collector_that_refuses_is_noted(totals, status, answer, capfd):
    server, problem = pushed(totals, stored("single-process"), status=status, answer=answer)

    assert problem.startswith(f"the collector at {server.url} ")
    assert "Traceback" not in capfd.readouterr().err


def test_a_collector_that_never_answers_is_left_after_a_few_seconds(totals):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        push = OtlpPush(f"http://127.0.0.1:{silent.getsockname()[1]}", totals)
        push.start()
        begun = time.monotonic()

        problem = push.finish(stored("single-process"))

        assert "the collector at" in problem
        assert time.monotonic() - begun < _SOON_S
    push._thread.join(_SOON_S)


def test_a_server_that_speaks_no_http_is_noted(totals):
    with socket.create_server(("127.0.0.1", 0)) as server:
        push = OtlpPush(f"http://127.0.0.1:{server.getsockname()[1]}", totals)

        def garbage():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"\x00\xffSSH-2.0\r\n\r\n")
                connection.close()

        thread = threading.Thread(target=garbage)
        thread.start()
        push.start()
        assert "the collector at" in push.finish(None)
        push._thread.join(_SOON_S)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4318",
        "ftp://a",
        "http://",
        "http://a:99999",
        "http://u:p@a",
        "http://a?key=1",
        "http://a b",
    ],
)
def test_what_is_no_address_of_a_collector_is_refused(url):
    with pytest.raises(UsageError, match="--otlp") as refused:
        collector_url(url)
    assert "u:p" not in str(refused.value)


def test_the_path_of_a_signal_is_not_part_of_the_address():
    assert collector_url("http://a:4318/") == "http://a:4318"
    assert collector_url("https://a/otlp/v1/metrics") == "https://a/otlp"


def test_without_the_extra_the_message_says_how_to_install_it(totals, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)

    with pytest.raises(EnvironmentLacks) as lacking:
        OtlpPush("http://localhost:4318", totals)

    assert code_for(lacking.value) == 3
    assert lacking.value.hint == how_to_add("otel")
