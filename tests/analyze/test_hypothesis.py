"""A hypothesis is confirmed or refuted by the first limit reached, or left open."""

import pytest

from runner.analyze.hypothesis import hypothesis
from runner.core.codes import Cause, Confidence, Limit, ProofAnswer
from runner.core.findings import Finding
from runner.core.stage_results import CounterExperiment, Verdict
from tests.analyze import stages as made


def stage(name, rps, code, *, validity="valid", **verdict):
    return made.stage(
        name=name,
        target_rps=rps,
        achieved=1.0,
        verdict=made.likely(code, **verdict),
        validity=made.valid(validity),
    )


LOW = stage("low", 100, "within-capacity")


@pytest.mark.parametrize(
    ("expected", "stages", "answer", "where"),
    [
        ("app-cpu-limited", [LOW, stage("high", 900, "app-cpu-limited")], "confirmed", "high"),
        ("app-cpu-limited", [LOW, stage("high", 900, "host-cpu-limited")], "refuted", "high"),
        ("app-cpu-limited", [LOW, stage("high", 900, "undetermined")], "open", "high"),
        (
            "app-cpu-limited",
            [LOW, stage("high", 900, "undetermined", withdrawn=Limit.APP_CPU)],
            "refuted",
            "high",
        ),
        ("app-cpu-limited", [LOW], "refuted", "low"),
        ("within-capacity", [LOW], "confirmed", "low"),
        (
            "host-cpu-limited",
            [stage("higher", 999, "app-cpu-limited"), stage("high", 900, "host-cpu-limited")],
            "confirmed",
            "high",
        ),
    ],
)
def test_the_first_limit_reached_decides(expected, stages, answer, where):
    found = hypothesis(Limit(expected), stages)

    assert (found.answer, found.stage) == (answer, where)
    assert found.why


def test_the_underlying_cause_of_another_limit_is_named():
    lifted = CounterExperiment(
        change="keep-alive",
        words="keeping connections",
        cause=Cause.CONNECTION_SETUP,
        actual_rps=(1.0, 2.0),
        lift=1.0,
        answer=ProofAnswer.CONFIRMED,
        sentence="Keeping connections lifted 1 to 2 RPS (+100 %): connection set-up is confirmed.",
        trial=LOW,
    )
    high = stage("high", 900, "host-cpu-limited", counter_experiment=lifted)

    found = hypothesis(Limit.CONNECTION, [high])

    assert found.answer == "refuted"
    assert found.why == (
        "the verdict is host-cpu-limited (likely); its underlying cause is the expected one: "
        "keeping connections lifted 1 to 2 RPS (+100 %): connection set-up is confirmed"
    )
    assert "its underlying cause is connection set-up" in hypothesis(Limit.APP_CPU, [high]).why


def test_an_invalid_stage_decides_nothing():
    assert hypothesis(Limit.APP_CPU, [stage("high", 900, "app-cpu-limited", validity="invalid")]) is None
    assert hypothesis(None, [LOW]) is None


@pytest.mark.parametrize(
    ("expected", "answer"),
    [
        ("app-concurrency-limited", "open"),
        ("host-cpu-limited", "open"),
        ("app-cpu-limited", "refuted"),
    ],
)
def test_a_limit_that_is_one_of_several_hints_is_left_open(expected, answer):
    codes = (Limit.APP_CONCURRENCY, Limit.HOST_CPU)
    hints = tuple(Finding(code, Confidence.HINT, "", (), "") for code in codes)
    short = made.stage(name="high", achieved=0.5, verdict=Verdict(codes[0], Confidence.HINT, hints))

    found = hypothesis(Limit(expected), [short])

    assert found.answer == answer
