"""The record of the end of a trial has the numbers of its report."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from runner.core.codes import Role, Unbounded
from runner.core.metrics import METRICS
from runner.core.observed_facts import Sample, Subject
from runner.core.ramp import Ramp
from runner.execution.live_end import trial_end
from runner.execution.live_records import second_record
from runner.execution.role_usage import RoleUsage
from runner.experiment.load import read_spec
from runner.experiment.trials import plan
from tests.analyze.facts import BUSY, DIED, HEALTHY, OVERLOADED, SPEC, SUBJECTS, second, stages_of
from tests.analyze.mixed_facts import SPEC as MIX
from tests.analyze.mixed_facts import Offered, mixed_trial
from tests.analyze.scenario_facts import SPEC as SCENARIOS
from tests.analyze.scenario_facts import scenario_trial, users

STATED = {"duration": {"p95": 58.0}, "response_time": None}
MIXED = mixed_trial(search=Offered(60, 60, 2.0), order=Offered(40, 20, 9.0))
OF_K6 = replace(HEALTHY, load=replace(HEALTHY.load, stated_ms=STATED))
USERS = replace(HEALTHY, target_rps=None, users=5)
FEW_LOST = replace(
    BUSY, load=replace(BUSY.load, seconds=tuple(second(index, 1000, 980, 2.5) for index in range(4)))
)


def agrees(told, measured) -> bool:
    """Return whether a 95th percentile is that of the results."""
    metric = METRICS[f"{told.of}.p95"]
    lost = metric.unbounded(measured) is Unbounded.LOST
    return told.ms == metric.read(measured) and (told.why_none == "lost") == lost


@pytest.mark.parametrize("facts", [HEALTHY, BUSY, FEW_LOST, OVERLOADED, DIED, OF_K6, USERS])
def test_numbers_of_a_stage_are_those_of_its_results(facts):
    told = trial_end(facts, 1.0)

    stage = next(stage for stage in stages_of(facts) if stage.order == facts.order)
    assert (told.rps, told.succeeded, told.failed) == (
        stage.actual_rps,
        stage.requests.succeeded,
        stage.requests.lost,
    )
    assert agrees(told.p95, stage)
    assert told.p95.of == ("duration" if facts in (OF_K6, USERS) else "response_time")


def test_a_percentile_among_the_lost_requests_has_no_value():
    told = trial_end(OVERLOADED, 1.0)

    assert (told.p95.ms, told.p95.why_none) == (None, "lost")
    assert told.failures == {"dropped": 10_000}
    assert trial_end(FEW_LOST, 1.0).p95.ms > trial_end(BUSY, 1.0).p95.ms


def test_requests_of_a_mix_have_the_numbers_of_their_results():
    told = trial_end(MIXED, 1.0)

    (stage,) = stages_of(MIXED, spec=MIX)
    assert set(told.parts) == set(stage.parts)
    for name, part in told.parts.items():
        own = stage.parts[name]
        assert (part.rps, part.succeeded, sum(part.failures.values())) == (
            own.actual_rps,
            own.requests.succeeded,
            own.requests.lost,
        )
        assert agrees(part.p95, own)


def test_scenarios_have_the_numbers_of_their_results():
    facts = scenario_trial(users(fails=lambda k: "pay" if k % 8 == 0 else ""))

    told = trial_end(facts, 1.0)

    (stage,) = stages_of(facts, spec=SCENARIOS)
    assert told.scenarios.per_s == stage.scenarios_per_s
    assert (told.scenarios.completed, told.scenarios.lost) == (
        stage.scenarios.completed,
        stage.scenarios.lost,
    )
    assert agrees(told.scenarios.p95, stage)


def test_a_ramp_has_no_percentile_over_all_its_rates():
    assert trial_end(replace(BUSY, ramp=Ramp(500.0, 1500.0)), 1.0).p95.why_none == "slices"


def test_what_k6_does_not_tell_is_not_told():
    parts = {"search": second(0, 10, 10, 2.0)}
    of_k6 = SPEC.replace(b"load: {", b"load: {engine: k6, ").replace(b", response_time.p95 < 50ms", b"")
    specs = [SPEC, of_k6]
    trials = [plan(read_spec(spec, source="shop.yaml"))[0] for spec in specs]

    own, theirs = (
        second_record(second(0, 10, 10, 2.0, parts=parts), trial, RoleUsage(), 1.0) for trial in trials
    )

    assert (own.in_flight, set(own.parts)) == (3, {"search"})
    assert (theirs.in_flight, set(theirs.parts)) == (None, set())


def test_what_other_programs_use_is_what_the_machine_used_beyond_all_roles():
    usage = RoleUsage()
    for t_s in (0.0, 1.0):
        cpu_s = {"app": 0.5 * t_s, "generator-1": 0.25 * t_s, "runner": 0.0, "system": 1.75 * t_s}
        usage.sample(Sample(t_s, cpu_s, {}), SUBJECTS)

    assert usage.cores()["other"] == pytest.approx(1.0)


def test_of_several_machines_that_of_the_runner_alone_is_no_part_of_the_total():
    usage = RoleUsage()
    runner = (Subject("runner", Role.RUNNER, "process"), Subject("system", Role.SYSTEM, "system"))
    nodes = [(Subject(f"app-{number}", Role.APP, "cgroup"), *runner) for number in (1, 2)]
    for t_s in (0.0, 1.0):
        usage.sample(Sample(t_s, {"runner": 0.25 * t_s, "system": 2.0 * t_s}, {}), runner)
        for number, subjects in enumerate(nodes, start=1):
            cpu_s = {f"app-{number}": 0.5 * t_s, "runner": 0.0, "system": number * t_s}
            usage.sample(Sample(t_s, cpu_s, {}), subjects)

    assert usage.cores() == pytest.approx({"app": 1.0, "runner": 0.25, "other": 2.0, "system": 3.0})
    assert usage.machines == 2


def test_what_went_wrong_in_a_stage_is_told_apart_from_its_notes():
    told = trial_end(DIED, 1.0)

    assert told.events == tuple(event.message for event in DIED.events)
    assert told.events
    assert told.notes[: len(told.events)] == told.events
