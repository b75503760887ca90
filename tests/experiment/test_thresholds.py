"""A threshold is data in the units of results.json, or an error that explains the syntax."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runner.core.metrics import METRICS
from runner.experiment.thresholds import Threshold
from tests.experiment.samples import table


def read(text: str) -> Threshold:
    return TypeAdapter(Threshold).validate_python(text)


def problem_with(text: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Threshold).validate_python(text)
    (error,) = caught.value.errors()
    return error["msg"] + (f" ({error['ctx']['hint']})" if error["ctx"]["hint"] else "")


RIGHT = [
    ("duration.p95 < 50ms", "duration.p95", "<", 50),
    ("duration.p95<50ms", "duration.p95", "<", 50),
    ("response_time.p99 <= 1s", "response_time.p99", "<=", 1000),
    ("connect.p50 < 800us", "connect.p50", "<", 0.8),
    ("dispatch_delay.p99 < 1.5ms", "dispatch_delay.p99", "<", 1.5),
    ("tls.p99 < 20ms", "tls.p99", "<", 20),
    ("first_byte.max < 1s", "first_byte.max", "<", 1000),
    ("duration.mean < 1m", "duration.mean", "<", 60_000),
    ("achieved >= 99%", "achieved", ">=", 0.99),
    ("achieved >= 0.99", "achieved", ">=", 0.99),
    ("errors < 0.1%", "errors", "<", 0.001),
    ("errors == 0", "errors", "==", 0),
    ("dropped == 0", "dropped", "==", 0),
    ("actual_rps >= 3900", "actual_rps", ">=", 3900),
    ("cpu.app.avg < 1.5", "cpu.app.avg", "<", 1.5),
    ("cpu.system.peak < 2", "cpu.system.peak", "<", 2),
    ("memory.app.peak < 256MiB", "memory.app.peak", "<", 256),
    ("memory.proxy.avg < 1GiB", "memory.proxy.avg", "<", 1024),
]


@pytest.mark.parametrize(("text", "metric", "op", "bound"), RIGHT, ids=[row[0] for row in RIGHT])
def test_a_bound_is_in_the_unit_of_the_results(text: str, metric: str, op: str, bound: float) -> None:
    threshold = read(text)

    assert (threshold.expr, threshold.metric, threshold.op) == (text, metric, op)
    assert threshold.bound == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize(("text", "problem"), table("thresholds"))
def test_an_invalid_threshold_is_explained(text: str, problem: str) -> None:
    assert problem_with(text) == problem


@pytest.mark.parametrize(
    ("text", "metric", "request_"),
    [
        ("duration{request=order}.p95 < 200ms", "duration.p95", "order"),
        ("duration{ request = order }.p95<200ms", "duration.p95", "order"),
        ("errors{request=a-1} < 0.1%", "errors", "a-1"),
        ("actual_rps{request=a} > 5", "actual_rps", "a"),
        ("errors < 0.1%", "errors", ""),
    ],
)
def test_a_selector_names_a_request(text: str, metric: str, request_: str) -> None:
    threshold = read(text)

    assert (threshold.expr, threshold.metric, threshold.request) == (text, metric, request_)


def test_a_number_is_not_a_threshold() -> None:
    assert problem_with(5) == "should be text such as 'duration.p95 < 50ms', not 5"


@given(st.text(max_size=200))
def test_any_text_is_a_threshold_or_an_invalid_value(text: str) -> None:
    try:
        metric = read(text).metric
    except ValidationError as caught:
        kinds = {error["type"] for error in caught.errors()}
    else:
        kinds = {"invalid_value"} if metric in METRICS else set()
    assert kinds == {"invalid_value"}


def test_a_threshold_can_be_built_from_fields() -> None:
    threshold = read("duration.p95 < 50ms")

    assert Threshold.model_validate(threshold.model_dump()) == threshold
    assert Threshold(expr="achieved >= 99%", metric="achieved", op=">=", bound=0.99).bound == 0.99
