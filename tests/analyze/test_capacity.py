"""A search reports the capacity with its evidence, or why it found none."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from runner.analyze.masked_probe import doubts_of, mask
from runner.analyze.probe import insufficient_share
from runner.analyze.results import search_sentence, upcoming
from runner.core.codes import Confidence, DoubtCode, Limit, Mask, Validity
from runner.core.facts import Event, TrialFacts
from runner.core.judgements import Doubt, StageValidity
from runner.core.measured import Requests
from runner.core.repeat_results import Capacity
from runner.core.stage_results import Verdict
from runner.experiment.thresholds import Threshold
from runner.report.markdown import render_markdown
from tests.analyze.facts import RUN, load, results_of
from tests.analyze.scenario_facts import SPEC as SCENARIOS
from tests.analyze.scenario_facts import scenario_trial, users, usual
from tests.analyze.searches import SPEC, answer, planned, search
from tests.analyze.test_rules import SHORT


def found(facts: list[TrialFacts], spec: bytes = SPEC) -> Capacity:
    (entry,) = results_of(*facts, spec=spec).configurations[0].capacity
    return entry


def test_a_search_finds_the_highest_sustained_rate_with_its_evidence() -> None:
    entry = found(search(1500))

    assert entry.ending == "found"
    assert entry.rps == entry.held_rps <= 1500 < entry.failed_rps <= entry.rps * 1.05
    assert entry.sentence.startswith(
        f"The highest sustained rate is {entry.rps:,g} RPS. {entry.failed_rps:,g} RPS was not sustained: "
        "response_time.p95 is 43"
    )
    assert "ms (required: < 50ms)" in entry.sentence
    assert [probe.ok for probe in entry.probes] == [probe.rps <= 1500 for probe in entry.probes]
    assert all(bool(probe.why) != probe.ok for probe in entry.probes)


def test_probes_are_stages_in_order_and_the_next_stage_follows_them() -> None:
    facts = search(1500)
    stages = results_of(*facts, spec=SPEC).configurations[0].stages

    assert [stage.name for stage in stages[:2]] == ["find 400 RPS", "find 800 RPS"]
    assert [stage.find.probe for stage in stages[:-1]] == list(range(1, len(stages)))
    assert stages[-1].find is None
    assert stages[-1].order == 14
    assert stages[-1].status == "complete"


def test_results_do_not_depend_on_the_order_of_the_journal() -> None:
    facts = search(1500)

    assert results_of(*facts[::-1], spec=SPEC) == results_of(*facts, spec=SPEC)


def test_the_experiments_thresholds_apply_only_to_the_highest_sustained_probe() -> None:
    facts = search(1500)
    stages = results_of(*facts, spec=SPEC).configurations[0].stages
    held = found(facts).rps

    assert [stage.target_rps for stage in stages if stage.thresholds] == [held, 100]
    assert sum(stage.find.decides for stage in stages[:-1]) == 2


@pytest.mark.parametrize(
    ("capacity", "ending", "sentence"),
    [
        (10, "never", "No rate was sustained. 100 RPS, the lowest rate allowed, failed: "),
        (
            9000,
            "always",
            "Every rate was sustained, up to 4,000 RPS, the highest rate allowed. The capacity is higher",
        ),
    ],
)
def test_a_search_without_a_limit_ends_with_a_sentence_and_no_capacity(
    capacity: float, ending: str, sentence: str
) -> None:
    entry = found(search(capacity))

    assert (entry.ending, entry.rps) == (ending, None)
    assert entry.sentence.startswith(sentence)


def test_a_search_reports_that_its_probes_were_too_few() -> None:
    few = SPEC.replace(b"min_rps: 100", b"min_rps: 100, probes: 4")
    entry = found(search(1500, few), few)

    assert (entry.ending, len(entry.probes), entry.rps) == (
        "bounded",
        4,
        1100,
    )
    assert entry.sentence.startswith("The highest sustained rate is 1,100 RPS. 1,600 RPS was not sustained")
    assert "4 probes, which were too few for the requested precision" in entry.sentence


def test_an_interrupted_search_reports_the_highest_rate_sustained_so_far() -> None:
    facts = search(1500)[:3]

    assert found(facts).sentence.startswith(
        "The search was interrupted after 3 probes. The highest rate sustained by then is 800 RPS."
    )
    aborted = [*facts[:2], replace(facts[2], status="aborted")]
    assert found(aborted).sentence.startswith(
        "The search stopped at 1,600 RPS: the probe was aborted. The highest rate sustained by then is "
        "800 RPS."
    )
    assert found(aborted).rps is None


def test_a_condition_on_an_unmeasured_metric_stops_the_search() -> None:
    spec = SPEC.replace(b"achieved >= 99%", b"cpu.proxy.avg < 1")
    facts = search(1500, spec)

    entry = found(facts, spec)
    assert (entry.ending, entry.rps, len(entry.probes)) == ("stopped", None, 1)
    why = "stopped at 400 RPS: the metric in cpu.proxy.avg < 1 was not measured. Until then, no rate"
    assert why in entry.sentence


@pytest.mark.parametrize(
    "until", [["errors < 1%"], ["response_time.p95 < 10s"], ["dropped <= 0", "errors < 1%"]]
)
@pytest.mark.parametrize(
    ("achieved", "failed", "short"), [(0.966, 0, 0.966), (0.992, 0, None), (0.95, 50, None), (0.9, 50, 0.9)]
)
def test_a_rate_at_which_a_queue_grows_is_not_sustained_whatever_else_is_required(
    until, achieved, failed, short
):
    counts = Requests(
        scheduled=1000, sent=1000, succeeded=1000 - failed, failed=failed, dropped=0, failures={}
    )
    stage = replace(SHORT, achieved=achieved, requests=counts, find=None)
    conditions = [Threshold.model_validate(text) for text in until]

    assert insufficient_share(conditions, stage) == short
    assert insufficient_share([*conditions, Threshold.model_validate("achieved >= 90%")], stage) is None


def test_a_condition_on_achieved_says_what_is_enough():
    spec = SPEC.replace(b"response_time.p95 < 50ms, achieved >= 99%", b"achieved >= 75%")

    assert (found(search(1500, spec), spec).rps or 0) > 1700


def test_a_rate_that_kills_the_service_is_not_sustained() -> None:
    facts = search(1500)
    killed = replace(
        facts[2],
        status="failed",
        load=replace(load(1600, 900, 3.0), seconds=load(1600, 900, 3.0).seconds[:2], complete=False),
        events=(Event("app-died", "the app was killed by SIGSEGV", t_s=1.9),),
    )

    probe = found([*facts[:2], killed]).probes[2]
    assert (probe.ok, probe.why) == (False, "the app was killed by SIGSEGV 1.9 s into the measured window")


def test_a_stack_that_does_not_start_stops_the_search() -> None:
    facts = search(1500)
    gone = replace(
        facts[2], status="failed", load=None, observed=None, events=(Event("stack-failed", "it is gone"),)
    )
    first, *_ = planned()

    assert upcoming(first, {each.order: each for each in [*facts[:2], gone]}, RUN) is None
    assert "stopped at 1,600 RPS: it is gone." in found([*facts[:2], gone]).sentence


def test_a_limit_of_the_generator_is_not_reported_as_one_of_the_service() -> None:
    facts = search(1500)
    lost = [
        replace(each, load=replace(each.load, lost_workers=("worker 1 died",)))
        if each.target_rps > 1500
        else each
        for each in facts
    ]

    entry = found(lost)
    assert (entry.ending, entry.rps, entry.held_rps, entry.shown_rps) == ("masked", None, 1480, 1480)
    assert entry.sentence.startswith("The service sustains at least 1,480 RPS. 1,520 RPS was not sustained: ")
    assert "1,520 RPS failed because of the load generator, so the service may sustain more" in entry.sentence
    assert [probe.mask for probe in entry.probes if probe.rps > 1500] == ["generator"] * 2
    assert "not shown: worker 1 died" in render_markdown(results_of(*lost, spec=SPEC))


def test_no_capacity_is_said_to_be_lower_where_only_the_generator_failed() -> None:
    lost = [replace(each, load=replace(each.load, lost_workers=("worker 1 died",))) for each in search(10)]

    entry = found(lost)
    assert entry.ending == "never"
    assert "capacity is lower" not in entry.sentence
    assert "so the service may sustain more" in entry.sentence


@pytest.mark.parametrize(
    ("doubt", "limit", "confidence", "hidden_by"),
    [
        (DoubtCode.DISTURBED, Limit.UNDETERMINED, Confidence.HINT, Mask.PROGRAMS),
        (DoubtCode.DISTURBED, Limit.HOST_CPU, Confidence.PROVEN, Mask.PROGRAMS),
        (DoubtCode.DISTURBED, Limit.APP_CONCURRENCY, Confidence.LIKELY, Mask.PROGRAMS),
        (DoubtCode.DISTURBED, Limit.APP_CONCURRENCY, Confidence.PROVEN, None),
        (DoubtCode.DISTURBED, Limit.APP_CPU, Confidence.LIKELY, None),
        (DoubtCode.GENERATOR_LATE, Limit.WITHIN_CAPACITY, Confidence.PROVEN, Mask.GENERATOR),
        (DoubtCode.GENERATOR_SATURATED, Limit.SERVICE, Confidence.LIKELY, None),
        (DoubtCode.OBSERVER_LATE, Limit.UNDETERMINED, Confidence.HINT, None),
    ],
)
def test_a_doubt_hides_the_service_only_where_no_limit_of_the_service_shows(
    doubt: DoubtCode, limit: Limit, confidence: Confidence, hidden_by: Mask | None
) -> None:
    stage = results_of(*search(1500), spec=SPEC).configurations[0].stages[0]
    doubted = StageValidity(Validity.SUSPECT, ("a reason",), doubts=(Doubt(doubt),))
    failed = replace(stage, validity=doubted, verdict=Verdict(limit, confidence, ()))

    assert mask(failed) is hidden_by
    assert list(doubts_of(failed, hidden_by)) == (["a reason"] if hidden_by else [])


@pytest.mark.parametrize(
    ("doubt", "hidden_by"),
    [
        (DoubtCode.SYSTEM_FAILED, None),
        (DoubtCode.SENT_TOO_LATE, Mask.GENERATOR),
        (DoubtCode.COUNTS_CONTRADICT, Mask.INVALID),
    ],
)
def test_an_invalid_probe_counts_only_if_the_system_failed(doubt: DoubtCode, hidden_by: Mask | None) -> None:
    stage = results_of(*search(1500), spec=SPEC).configurations[0].stages[0]
    invalid = StageValidity(Validity.INVALID, ("a reason",), doubts=(Doubt(doubt),))

    assert mask(replace(stage, validity=invalid)) is hidden_by


def test_ports_that_the_generator_lacks_are_no_limit_of_the_service() -> None:
    stage = results_of(*search(1500), spec=SPEC).configurations[0].stages[0]
    without_port = replace(stage.requests, failures={"no_port": 40})

    assert mask(replace(stage, requests=without_port)) is Mask.PORTS
    assert [*doubts_of(replace(stage, requests=without_port), Mask.PORTS)] == [
        "40 requests found no free local port"
    ]


def test_a_trial_that_is_no_search_is_complete_once_it_has_facts() -> None:
    _, plain = planned()

    assert upcoming(plain, {}, RUN) == plain
    assert upcoming(plain, {plain.order: answer(plain, 500)}, RUN) is None
    assert search_sentence(plain, {}, RUN) == ""


USERS = SCENARIOS.replace(
    b"{users_per_s: 20, duration: 10s}",
    b"{find: {max_users_per_s: 40, precision: 0.2, until: ['UNTIL']}, duration: 10s}",
)


def search_for_users(capacity: float, spec: bytes) -> list[TrialFacts]:
    """Return the probes of a shop: above its capacity, payments take 4 s, and one in ten users fails."""
    (each,) = planned(spec)
    facts: dict[int, TrialFacts] = {}
    while (probe := upcoming(each, facts, RUN)) is not None:
        rate = probe.stage.users_per_s
        over = rate > capacity
        made = users(
            rate,
            times=lambda name, due: 4.0 if over and name == "pay" else usual(name, due),  # noqa: B023
            fails=lambda k: "pay" if over and k % 10 == 0 else "",  # noqa: B023
        )
        facts[probe.order] = replace(scenario_trial(made, rate), order=probe.order, stage=probe.stage.name)
    return list(facts.values())


@pytest.mark.parametrize(
    ("until", "latency", "step", "why"),
    [
        (b"scenario_duration.p95 < 2s", "scenario_duration", "", "scenario_duration.p95 "),
        (b"duration{request=pay}.p95 < 1s", "duration", "pay", "duration{request=pay}.p95 "),
        (b"duration{request=login}.p95 < 1s", "duration", "login", "10.0 % of the users did not complete"),
        (b"scenario_errors < 5%", "scenario_duration", "", "scenario_errors is "),
    ],
)
def test_a_search_for_users_finds_the_highest_sustained_rate_of_users(
    until: bytes, latency: str, step: str, why: str
) -> None:
    spec = USERS.replace(b"UNTIL", until)
    facts = search_for_users(15, spec)
    entry = found(facts, spec)

    assert (entry.unit, entry.ending, entry.min_rps, entry.max_rps) == ("users/s", "found", 0.4, 40)
    assert entry.rps <= 15 < entry.failed_rps <= entry.rps * 1.2
    sentence = f"The highest sustained rate is {entry.rps:g} users/s. {entry.failed_rps:g} users/s was not "
    assert entry.sentence.startswith(f"{sentence}sustained: {why}")
    assert (entry.latency, entry.request or "") == (latency, step)
    p95 = {probe.rps: probe.p95_ms for probe in entry.probes}
    usual_ms = {"scenario_duration": 1250, "pay": 200, "login": 20}[step or latency]
    assert p95[entry.rps] == pytest.approx(usual_ms, rel=0.01)
    stages = results_of(*facts, spec=spec).configurations[0].stages
    assert sorted(stage.rate for stage in stages if stage.find.decides) == [entry.rps, entry.failed_rps]
    assert [stage.rate for stage in stages if stage.thresholds] == [entry.rps]
