"""Verdicts of ramps that reach a limit in a part of their window."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from runner.analyze.ramp_limit import limited_part
from runner.analyze.slices import slices
from runner.analyze.verdict import Limited, verdict
from runner.core.judgements import ThresholdResult
from runner.core.observed_facts import ObservedFacts, Sample
from runner.core.observed_results import Usage
from runner.core.ramp import Ramp
from tests.analyze.simulated import Ended, order, simulate
from tests.analyze.stages import stage

UP, DOWN = Ramp(100.0, 300.0), Ramp(300.0, 100.0)


def busy(capacity):
    """A server that works on one request after another, so many per second."""

    def serve(due):
        free, ended = 0.0, []
        for at in due:
            free = max(free, at) + 1 / capacity
            ended.append(Ended(at, free))
        return ended

    return serve


def measured(level, capacity, *, achieved, **changes):
    facts = simulate(order(level.begin, 20.0, rate_to=level.to), busy(capacity))
    return stage(
        ramp=level,
        achieved=achieved,
        window_s=20.0,
        slices=slices(facts, level, 20.0),
        target_rps=200.0,
        **changes,
    )


def test_a_ramp_below_the_capacity_has_no_limited_part():
    assert limited_part(measured(UP, 1000, achieved=1.0)) is None
    assert limited_part(measured(UP, 1000, achieved=0.98)) is None


def test_a_ramp_is_at_its_limit_from_the_rate_that_the_service_does_not_reach():
    part = limited_part(measured(UP, 200, achieved=0.85))

    assert (part.begin_s, part.end_s) == (12.0, 20.0)
    assert (part.level.begin, part.level.to) == (220.0, 300.0)


def test_a_falling_ramp_is_at_its_limit_at_its_start():
    part = limited_part(measured(DOWN, 200, achieved=0.85))

    assert (part.begin_s, part.level.begin) == (0.0, 300.0)
    assert part.end_s < 20.0


@pytest.mark.parametrize(("level", "bounds"), [(UP, (14.0, 20.0)), (DOWN, (0.0, 6.0))])
def test_a_passed_threshold_is_a_limit_though_the_ramp_was_sustained(level, bounds):
    threshold = ThresholdResult("duration.p95 < 50ms", ok=False, value=60.0, level=250.0)
    sustained = measured(level, 1000, achieved=1.0, thresholds=(threshold,))

    part = limited_part(sustained)
    found = verdict(sustained, 2, limited=Limited(part.level, sustained))

    assert (part.begin_s, part.end_s) == bounds
    assert found.code != "within-capacity"
    assert "from" in found.findings[0].summary


def test_requests_lost_in_one_slice_are_a_limit_though_they_are_few_of_all():
    sustained = measured(UP, 1000, achieved=1.0)
    *first, last = sustained.slices
    lost = replace(last, requests=replace(last.requests, succeeded=500, failed=40, scheduled=540))

    part = limited_part(replace(sustained, slices=(*first, lost)))

    assert (part.level.begin, part.level.to) == (280.0, 300.0)


def test_the_cpu_of_the_limited_part_is_what_was_used_in_it():
    part = limited_part(measured(UP, 200, achieved=0.85))
    samples = tuple(
        Sample(t_s=float(t), cpu_s={"app": max(0.0, t - 12.0)}, rss_bytes={}, read_s={"app": t + 0.01})
        for t in range(21)
    )

    moved = part.of(ObservedFacts(subjects=(), samples=samples)).samples

    assert next(sample for sample in moved if sample.t_s == 0).cpu_s["app"] == 0
    assert moved[-1].read_s["app"] == pytest.approx(8.01)
    assert moved[-1].cpu_s["app"] / moved[-1].t_s == 1.0


def test_a_finding_says_between_which_levels_it_holds():
    ramp = measured(UP, 200, achieved=0.85, cpu_cores={"app": Usage(0.4, 0.9)})
    part = limited_part(ramp)

    found = verdict(ramp, 1, limited=Limited(part.level, ramp))

    assert all("from 220 to 300 RPS" in finding.summary for finding in found.findings)
