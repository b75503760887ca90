"""Thresholds in one line each, over all stages."""

from __future__ import annotations

from msgspec.structs import replace

from runner.core.judgements import ThresholdResult
from runner.report.threshold_lines import threshold_lines
from tests.report.stored_results import stored, with_configuration

EXPR = "p95 < 50ms"


def checked(*values, expr=EXPR):
    """A run whose stages have these values for one threshold."""
    results = stored("single-process")
    stages = results.configurations[0].stages[: len(values)]
    stages = tuple(
        replace(stage, thresholds=(ThresholdResult(expr, ok=value < 50, value=value),))
        for stage, value in zip(stages, values, strict=True)
    )
    return with_configuration(results, stages=stages)


def test_a_threshold_that_failed_at_one_stage_is_one_line():
    (line,) = threshold_lines(checked(1.0, 2.0, 314.0, expr="duration.p95 < 50ms"))

    assert line.text == "duration.p95 < 50ms: passed in 2 of 3 stages; failed at 4,000 RPS: 314 ms"
    assert (line.ok, line.passed, line.total) == (False, 2, 3)
    assert line.markdown.startswith("`duration.p95 < 50ms`: passed in 2 of 3")


def test_one_that_passed_everywhere_needs_no_values():
    (line,) = threshold_lines(checked(1.0, 2.0, 3.0))

    assert line.result == "passed in 3 of 3 stages"


def test_one_stage_has_its_value():
    assert threshold_lines(checked(1.0, expr="duration.p95 < 50ms"))[0].result == "passed at 100 RPS: 1.00 ms"
    assert (
        threshold_lines(checked(99.0, expr="duration.p95 < 50ms"))[0].result == "failed at 100 RPS: 99.0 ms"
    )


def test_many_failures_are_counted():
    (line,) = threshold_lines(checked(90.0, 91.0, 92.0, 93.0, expr="duration.p95 < 50ms"))

    assert line.result == (
        "failed in all 4 stages (100 RPS: 90.0 ms; 1,000 RPS: 91.0 ms; 4,000 RPS: 92.0 ms; 1 more stage)"
    )


def test_two_failures_are_both():
    (line,) = threshold_lines(checked(90.0, 91.0, expr="duration.p95 < 50ms"))

    assert line.result == "failed in both stages (100 RPS: 90.0 ms; 1,000 RPS: 91.0 ms)"


def test_several_configurations_are_named():
    results = stored("app-server")
    stages = results.configurations[0].stages
    failing = replace(stages[0], thresholds=(ThresholdResult("errors < 1%", ok=False, value=0.25),))
    passing = replace(stages[1], thresholds=(ThresholdResult("errors < 1%", ok=True, value=0.0),))
    results = with_configuration(results, title="one_process", stages=(failing, passing))

    (line,) = threshold_lines(results)

    assert line.result == "passed in 1 of 2 stages; failed at one_process, 100 RPS: 25 %"
