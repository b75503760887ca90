"""Headings, values and definitions follow from the registry of metrics."""

import pytest
from msgspec.structs import replace

from runner.core.codes import Unbounded
from runner.core.judgements import ThresholdResult
from runner.core.measured import Latency, Requests
from runner.core.metric import Dimension
from runner.core.metrics import LATENCIES, METRICS
from runner.report.markdown_text import markdown
from runner.report.metric_text import cell, glossary, heading, threshold_value
from runner.report.number_format import FORMATS, NOT_MEASURED
from runner.report.tables import details
from tests.report.stored_results import first_stage, stored


def test_more_than_all_is_achieved_only_with_a_reason_beside_it():
    stage = replace(first_stage(stored("single-process")), achieved=1.029)

    assert cell(METRICS["achieved"], stage) == "102.9 % (throughput ÷ target)"
    assert cell(METRICS["achieved"], replace(stage, achieved=1.0)) == "100 %"


def test_every_dimension_has_a_format():
    assert set(FORMATS) == set(Dimension)
    assert {formatted(None) for formatted in FORMATS.values()} == {NOT_MEASURED}


def test_a_placeholder_can_name_a_format():
    text = markdown("{:rate} RPS, {:share}, {:ms} ms", 1234.0, 0.5, None)

    assert text == f"1,234 RPS, 50 %, {NOT_MEASURED} ms"


@pytest.mark.parametrize(
    ("expr", "value", "text"),
    [
        ("duration.p95 < 50ms", 3.084, "3.08 ms"),
        ("duration.p95 < 25ms", 25.0004, "25.0004 ms"),
        ("errors < 0.01%", 0.00011, "0.011 %"),
        ("first_byte.p99<1s", 120.4, "120 ms"),
        (" tls.p50 < 1ms", None, "not measured"),
        ("achieved >= 99%", 0.375, "37.5 %"),
        ("errors < 0.1%", 0.0, "0 %"),
        ("dropped == 0", 1200.0, "1,200"),
        ("actual_rps > 100", 1999.6, "2,000 RPS"),
        ("cpu.app.avg < 1.5", 0.987, "0.99 cores"),
        ("memory.app.peak < 1GiB", 312.4, "312 MiB"),
        ("duration{request=order}.p95 < 200ms", 3.084, "3.08 ms"),
        ("errors{ request = order } < 0.1%", 0.002, "0.2 %"),
        ("unknown < 1", 2.5, "2.5"),
        ("unknown{request=order}.p95 < 1", 2.5, "2.5"),
    ],
)
def test_a_threshold_shows_its_value_in_the_unit_of_its_metric(expr, value, text):
    assert (
        threshold_value(ThresholdResult(expr, ok=False, value=value), first_stage(stored("single-process")))
        == text
    )


@pytest.mark.parametrize(
    ("failures", "dropped", "text"),
    [
        ({"timeout": 10}, 0, "> 1 s: 10 % failed"),
        ({"timeout": 9, "connect_timeout": 1}, 0, "> 1 s: 10 % failed"),
        ({"timeout": 9, "bad_status": 1}, 0, "no value: 10 % failed"),
        ({}, 10, "no value: 10 % dropped"),
        ({"timeout": 5}, 5, "no value: 10 % failed or dropped"),
    ],
)
def test_a_percentile_among_lost_requests_shows_what_was_lost(failures, dropped, text):
    failed = sum(failures.values())
    requests = Requests(100, 100 - dropped, 90, failed, dropped, failures)
    latency = Latency(p50=1.0, unbounded={"p99": Unbounded.LOST, "p999": Unbounded.OUT_OF_RANGE})
    stage = replace(
        first_stage(stored("single-process")), requests=requests, response_time_ms=latency, timeout_s=1.0
    )

    assert cell(METRICS["response_time.p99"], stage) == text
    assert cell(METRICS["response_time.p999"], stage) == "> 1 h"
    assert cell(METRICS["response_time.p50"], stage) == "1.00"
    check = ThresholdResult("response_time.p99 < 1s", ok=False, value=None, unbounded=Unbounded.LOST)
    assert threshold_value(check, stage) == text


def test_every_latency_that_was_measured_has_a_row():
    table = details([first_stage(stored("single-process"))])

    shown = {kind.name for kind in LATENCIES if f"**{heading(METRICS[f'{kind.name}.p95'])}**" in table}
    assert shown == {"duration", "response_time", "connect", "dispatch_delay", "first_byte"}


def test_every_metric_is_defined():
    definitions = glossary(scenarios=True)

    assert all(definitions[metric.term] == metric.definition for metric in METRICS.values())
