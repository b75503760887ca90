"""A hypothesis is confirmed or refuted by the limit that was met first, or left open."""

import pytest

from runner.analyze.hypothesis import hypothesis


def stage(name, rps, code, *, withdrawn=None, validity="valid"):
    verdict = {"code": code, "confidence": "likely"} | ({"withdrawn": withdrawn} if withdrawn else {})
    return {
        "name": name, "target_rps": rps, "achieved": 1.0, "verdict": verdict, "validity": {"status": validity}
    }  # fmt: skip


LOW = stage("low", 100, "within-capacity")


@pytest.mark.parametrize(
    ("expected", "stages", "answer", "where"),
    [
        ("app-cpu-limited", [LOW, stage("high", 900, "app-cpu-limited")], "confirmed", "high"),
        ("app-cpu-limited", [LOW, stage("high", 900, "host-cpu-limited")], "refuted", "high"),
        ("app-cpu-limited", [LOW, stage("high", 900, "undetermined")], "open", "high"),
        (
            "app-cpu-limited",
            [LOW, stage("high", 900, "undetermined", withdrawn="app-cpu-limited")],
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
def test_the_first_limit_that_was_met_answers(expected, stages, answer, where):
    found = hypothesis(expected, stages)

    assert (found["answer"], found["stage"]) == (answer, where)
    assert found["why"]


def test_what_lies_behind_another_limit_is_said():
    high = stage("high", 900, "host-cpu-limited")
    high["verdict"]["counter_experiment"] = {
        "answer": "confirmed",
        "cause": "connection set-up",
        "sentence": "Keeping connections lifted 1 to 2 RPS (+100 %): connection set-up is confirmed.",
    }

    found = hypothesis("connection-limited", [high])

    assert found["answer"] == "refuted"
    assert found["why"] == (
        "the verdict is host-cpu-limited (likely); what was expected lies behind it all the same: "
        "keeping connections lifted 1 to 2 RPS (+100 %): connection set-up is confirmed"
    )
    assert "what lies behind it is connection set-up" in hypothesis("app-cpu-limited", [high])["why"]


def test_what_cannot_be_believed_answers_nothing():
    assert hypothesis("app-cpu-limited", [stage("high", 900, "app-cpu-limited", validity="invalid")]) is None
    assert hypothesis(None, [LOW]) is None
