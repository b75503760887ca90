"""A threshold is data in the units of results.json, or a complaint that teaches the grammar."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from runner.experiment.thresholds import METRICS, Threshold
from tests.experiment.samples import table


def read(text: str) -> Threshold:
    return TypeAdapter(Threshold).validate_python(text)


def complaint(text: object) -> str:
    with pytest.raises(ValidationError) as found:
        TypeAdapter(Threshold).validate_python(text)
    (error,) = found.value.errors()
    return error["msg"] + (f" ({error['ctx']['hint']})" if error["ctx"]["hint"] else "")


RIGHT = [
    ("duration.p95 < 50ms", "duration.p95", "<", 50),
    ("duration.p95<50ms", "duration.p95", "<", 50),
    ("response_time.p99 <= 1s", "response_time.p99", "<=", 1000),
    ("connect.p50 < 800us", "connect.p50", "<", 0.8),
    ("dispatch_delay.p99 < 1.5ms", "dispatch_delay.p99", "<", 1.5),
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
def test_a_wrong_threshold_is_told_what_a_right_one_is(text: str, problem: str) -> None:
    assert complaint(text) == problem


def test_a_number_is_no_threshold() -> None:
    assert complaint(5) == "should be text such as 'duration.p95 < 50ms', not 5"


@given(st.text(max_size=200))
def test_any_text_is_a_threshold_or_a_complaint(text: str) -> None:
    try:
        metric = read(text).metric
    except ValidationError as found:
        kinds = {each["type"] for each in found.errors()}
    else:
        kinds = {"complaint"} if metric in METRICS else set()
    assert kinds == {"complaint"}


def test_a_threshold_given_as_fields_is_itself() -> None:
    threshold = read("duration.p95 < 50ms")

    assert Threshold.model_validate(threshold.model_dump()) == threshold
    assert Threshold(expr="achieved >= 99%", metric="achieved", op=">=", bound=0.99).bound == 0.99
