"""Ramps and users: each slice is compared with the slice at the same level."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from runner.analyze.comparison import compare
from runner.analyze.history import history
from runner.analyze.slices import slices
from runner.core.codes import Validity
from runner.core.errors import UsageError
from runner.core.judgements import StageValidity
from runner.core.observed_results import Moment
from runner.core.ramp import Ramp
from runner.report.comparison import brief_comparison, render_comparison
from runner.report.history import render_history
from tests.analyze.simulated import Ended, order, simulate
from tests.analyze.systems import run, stages, with_stages

RAMP = Ramp(100.0, 300.0)
WINDOW_S = 20.0


def ramp(number, *, slow_from_s=WINDOW_S, level=RAMP, **changes):
    """Return a run of a ramp in which responses take 10 ms, and 40 ms from a time on."""
    served = lambda due: [Ended(at, at + (0.04 if at >= slow_from_s else 0.01)) for at in due]  # noqa: E731
    facts = simulate(order(level.begin, WINDOW_S, rate_to=level.to), served)
    made = run(Random(number), repeats=1)
    stage = replace(
        stages(made)[0],
        name="ramp",
        window_s=WINDOW_S,
        target_rps=level.mean,
        ramp=level,
        slices=slices(facts, level, WINDOW_S),
        **changes,
    )
    return with_stages(made, stage)


def users(number, *, rps=500.0, level=5):
    """Return a run of users whose throughput does not vary between seconds."""
    made = run(Random(number), repeats=1)
    model = stages(made)[0]
    stage = replace(model, name="users", target_rps=None, achieved=None, actual_rps=rps, users=level)
    return with_stages(made, stage)


def worse_slices(comparison, name="duration_ms.p95"):
    return [
        one.level.begin
        for one in comparison.stages
        for metric in one.metrics
        if one.level and metric.name == name and metric.verdict == "worse"
    ]


def test_slices_that_got_slower_are_found_at_their_levels():
    comparison = compare([ramp(1)], [ramp(2, slow_from_s=14.0)])

    assert worse_slices(comparison) == [240.0, 260.0, 280.0]
    assert comparison.verdict == "worse"
    sentence = "ramp, 240 to 300 RPS (3 of 10 slices): p95 Duration (ms) +300 %"
    assert sentence in brief_comparison(comparison)
    text = render_comparison(comparison)
    assert sentence in text
    assert "| 240 to 260 |" in text
    assert "| 240 to 260 |" not in brief_comparison(comparison)


def test_slices_that_got_faster_are_named_though_the_stage_got_worse():
    comparison = compare([ramp(1, slow_from_s=14.0)], [ramp(2, cpu_cores={}, actual_rps=50.0)])

    assert comparison.verdict == "worse"
    assert "240 to 300 RPS (3 of 10 slices): p95 Duration (ms) −75.0 %, better" in brief_comparison(
        comparison
    )


def test_equal_ramps_show_no_difference_in_any_slice():
    comparison = compare([ramp(1)], [ramp(2)])

    assert sum(stage.level is not None for stage in comparison.stages) == 10
    assert comparison.verdict == "no difference shown"


def test_what_changes_with_the_level_is_no_noise():
    seconds = tuple(Moment(t_s=n + 1.0, rps=100 + 10 * n, p95_ms=2.0**n) for n in range(20))

    (found, *_) = compare([ramp(1)], [ramp(2)]).stages
    (varying, *_) = compare([ramp(1, timeseries=seconds)], [ramp(2, timeseries=seconds)]).stages

    assert [one.detectable for one in varying.metrics] == [one.detectable for one in found.metrics]


@pytest.mark.parametrize("level", [Ramp(100.0, 301.0), Ramp(300.0, 100.0)])
def test_unlike_ramps_are_told_apart(level):
    with pytest.raises(UsageError) as caught:
        compare([ramp(1)], [ramp(2, level=level)])

    wanted = f"ramp 100 to 300 in 20 s → {level.begin:g} to {level.to:g} in 20 s"
    assert any(wanted in detail for detail in caught.value.details)


def test_a_suspect_ramp_is_said_to_be_so_once():
    doubt = StageValidity(Validity.SUSPECT, ("the host was busy",))

    comparison = compare([ramp(1)], [ramp(2, validity=doubt)])

    assert len(comparison.not_judged) == 1


def test_a_history_follows_each_slice():
    runs = [ramp(1), ramp(2), ramp(3, slow_from_s=14.0)]
    runs = [
        replace(one, run=replace(one.run, started_at=f"2026-01-0{day}T00:00:00+00:00"))
        for day, one in enumerate(runs, 1)
    ]

    found = history(runs, margin=0.05)

    verdicts = {
        stage.level.begin: metric.verdict
        for stage in found.stages
        for metric in stage.metrics
        if stage.level and metric.name == "duration_ms.p95"
    }
    assert [begin for begin, verdict in verdicts.items() if verdict == "worse"] == [240.0, 260.0, 280.0]
    assert "| 240 to 260 |" in render_history(found)


def test_users_of_another_number_are_another_stage():
    with pytest.raises(UsageError) as caught:
        compare([users(1)], [users(2, level=50)])

    assert any("users 5 → 50" in detail for detail in caught.value.details)


@pytest.mark.parametrize(("rps", "verdict"), [(450.0, "no difference shown"), (150.0, "worse")])
def test_the_throughput_of_users_is_as_noisy_as_latencies(rps, verdict):
    (stage, *_) = compare([users(1)], [users(2, rps=rps)]).stages

    assert {metric.name: metric.verdict for metric in stage.metrics}["actual_rps"] == verdict


def test_the_cpu_of_users_is_not_compared_because_a_slower_service_gets_fewer_requests():
    comparison = compare([users(1)], [users(2, rps=150.0)])

    assert all("cpu_cores.app" not in {metric.name for metric in one.metrics} for one in comparison.stages)
    assert not comparison.not_judged


def test_runs_without_a_common_stage_name_what_each_has():
    with pytest.raises(UsageError) as caught:
        compare([users(1)], [ramp(2)])

    assert [detail.split(":")[0] for detail in caught.value.details] == [
        "only in the base",
        "only in the head",
    ]
