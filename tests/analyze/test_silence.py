"""Seconds in which users got no successful response, which counts and latencies hide."""

import pytest
from msgspec.structs import replace

from runner.core.codes import Confidence, Limit, Validity
from runner.core.load_facts import LoadSecond
from runner.core.ramp import Ramp
from tests.analyze.facts import load, observed, second, stages_of, trial

SPEC = b"""
version: 1
name: shop
title: The Shop
objective: Find where users wait.
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
load: {request: {path: /items}}
stages:
  - {name: users, USERS, duration: 6s}
thresholds: [errors < 1%, duration.p99 < 100ms, actual_rps > 100]
"""


def stage_of(responses, *, ms=2.0, failures=0, users=20, window_s=6):
    """Return a stage with so many responses in each second, and failures in those without one."""
    seconds = tuple(
        replace(second(index, count, count, ms), response_time=LoadSecond(0).response_time)
        if count
        else LoadSecond(index, scheduled=failures, sent=failures, failures={"timeout": failures})
        for index, count in enumerate(responses)
    )
    text = f"{{from: {users.begin:g}, to: {users.to:g}}}" if isinstance(users, Ramp) else str(users)
    facts = trial(
        0, "users", 100, 100, ms, 0.1, target_rps=None, window_s=float(window_s), users=users,
        load=replace(load(1, 1, ms), planned=0, seconds=seconds),
        observed=observed(0.1, seconds=window_s),
    )  # fmt: skip
    (stage,) = stages_of(facts, spec=SPEC.replace(b"USERS", f"users: {text}".encode()))
    return stage


def test_users_without_a_response_for_seconds_are_no_valid_stage():
    stage = stage_of([5000, 5000, 0, 0, 0, 0], failures=20)

    assert stage.requests.lost / stage.requests.scheduled < 0.01
    assert stage.verdict.code is Limit.ERROR
    assert stage.verdict.confidence is Confidence.PROVEN
    sentence = "there was no successful response for 4 s of 6 s, from second 2 on"
    assert stage.verdict.findings[0].summary == sentence
    assert stage.validity.status is Validity.SUSPECT
    assert stage.validity.reasons[0].startswith(sentence)
    assert [(result.ok, result.value) for result in stage.thresholds[:1]] == [(False, 0.666667)]


@pytest.mark.parametrize("users", [Ramp(1, 20), Ramp(20, 1)])
def test_a_ramp_of_users_is_judged_alike(users):
    stage = stage_of([5000, 0, 0, 5000, 5000, 5000], users=users)

    assert (stage.verdict.code, stage.verdict.confidence) == (Limit.ERROR, Confidence.LIKELY)
    assert "for 2 s of 6 s, from second 1 on" in stage.verdict.findings[0].summary
    assert not stage.thresholds[0].ok


@pytest.mark.parametrize(
    "stage",
    [
        stage_of([5000] * 6),
        stage_of([5000] * 6 + [0, 0]),
        stage_of([5, 0, 0, 5, 0, 0], ms=2500.0),
        stage_of([5000, 5000, 5000, 5000, 5000, 0], window_s=5.5),
    ],
)
def test_responses_that_take_as_long_explain_seconds_without_any(stage):
    assert stage.validity.status is Validity.VALID
    assert stage.verdict.code is not Limit.ERROR
    assert stage.thresholds[0].ok


def test_without_any_success_the_counts_say_so():
    stage = stage_of([0] * 6, failures=20)

    assert stage.validity.status is Validity.VALID
    assert stage.thresholds[0].value == 1.0
