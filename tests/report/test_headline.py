"""The first lines of a report: one sentence and four figures, of real runs and of changed ones."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from runner.core.codes import Confidence, Limit, StageStatus, Validity
from runner.core.judgements import Probe, StageValidity, ThresholdResult
from runner.core.observed_results import ProgramUsage
from runner.core.ramp import Ramp
from runner.report.conclusion import conclusion
from runner.report.headline import Tone, headline
from runner.report.markdown_text import unmarked
from runner.report.page.rows import tone_of
from runner.report.summary import summary_rows
from tests.report.stored_results import stored, with_configuration, with_stage
from tests.report.test_markdown import CASES, case


def limited_to(results, at, limit, **finding):
    """The results with another verdict on one stage."""
    stage = results.configurations[at[0]].stages[at[1]]
    first = replace(stage.verdict.findings[0], code=limit, **finding)
    verdict = replace(stage.verdict, code=limit, confidence=Confidence.PROVEN, findings=(first,))
    return with_stage(results, at, verdict=verdict)


def test_a_limit_stands_after_the_highest_sustained_rate():
    head = headline(stored("single-process"))

    assert head.sentence == (
        "The service sustains 4,000 RPS; above that, at 10,000 RPS, the limit is the app’s CPU (likely)."
    )
    assert (head.rate_title, head.rate_text) == ("Sustained rate", "4,000 RPS")
    assert (head.limit, head.confidence) == (Limit.APP_CPU, Confidence.LIKELY)
    assert head.cpu is not None
    assert (head.cpu.name, head.cpu.text, head.cpu.at) == ("App CPU", "1.00 cores", "10,000 RPS")
    assert head.p95_text == "1.87 ms"
    assert head.errors_text == "0 %"


def test_a_rate_that_was_missed_is_a_throughput_and_not_a_sustained_rate():
    head = headline(stored("docker-4k"))

    assert (head.rate_title, head.rate_text) == ("Highest throughput", "1,978 RPS")
    assert head.sentence.startswith("4,000 RPS is not sustained: the service achieves 1,978 RPS of 4,000 RPS")
    assert head.cpu is not None
    assert head.cpu.text == "1.99 of 2 cores"


def test_without_a_limit_the_news_is_good_and_a_doubt_is_named():
    head = headline(stored("quickstart"))

    assert head.sentence.endswith("every offered rate, up to 1,000 RPS; no limit was reached.")
    assert head.tone is Tone.GOOD
    assert head.doubt.startswith("The results for 1,000 RPS are suspect: the generator was")


def test_users_beside_a_rate_that_was_sustained_have_their_limit_named():
    results = stored("quickstart")
    (configuration,) = results.configurations
    busy = stored("single-process").configurations[0].stages[-1].verdict
    users = replace(configuration.stages[-1], name="3 users", users=3, target_rps=None, verdict=busy)
    both = replace(configuration, stages=(*configuration.stages, users))

    sentence = headline(replace(results, configurations=(both,))).sentence

    assert sentence.endswith("up to 1,000 RPS; with 3 users, the limit is the app’s CPU (likely).")


def test_other_programs_are_one_short_sentence_whose_details_are_apart():
    results = stored("single-process")
    for at, cores in ((2, 0.5), (3, 1.2)):
        why = (f"programs outside the experiment (python3 (pids 1, 2)) used {cores}",)
        strangers = (ProgramUsage("python3", (1, 2), cores),)
        judged = StageValidity(Validity.SUSPECT, why, disturbed=True)
        results = with_stage(results, (0, at), validity=judged, programs=strangers)
    head = headline(results)

    assert head.doubt == (
        "The results for 4,000 RPS and 10,000 RPS are suspect: programs outside the experiment "
        "used the processors (0.50 and 1.20 of 2 cores)"
    )
    assert head.doubt_details[1] == (
        "10,000 RPS: programs outside the experiment (python3 (pids 1, 2)) used 1.2"
    )
    assert head.validity is Validity.SUSPECT
    edited = StageValidity(Validity.SUSPECT, (), disturbed=True)
    assert headline(with_stage(results, (0, 3), validity=edited)).doubt_details[1:] == ()
    assert headline(stored("single-process")).doubt_details == ()


def test_a_rate_that_failed_a_threshold_is_not_sustained():
    def sentence(*checks):
        return headline(with_stage(stored("single-process"), (0, 2), thresholds=checks)).sentence

    plain = headline(stored("single-process")).sentence
    failed = [ThresholdResult(f"errors < {at}%", ok=False, value=0.25) for at in range(1, 5)]
    died = replace(failed[0], why="the app was killed")

    assert sentence(replace(failed[0], ok=True), died) == plain
    lower = plain.replace("4,000", "1,000")
    assert sentence(failed[0]) == f"{lower} At 4,000 RPS, the threshold failed."
    assert (
        sentence(replace(failed[0], ok=True), *failed) == f"{lower} At 4,000 RPS, 4 of 5 thresholds failed."
    )


def test_a_run_whose_only_rate_failed_a_threshold_says_that_it_is_not_sustained():
    results = stored("single-process")
    only = with_configuration(results, stages=results.configurations[0].stages[:1])
    broken = with_stage(only, thresholds=(ThresholdResult("errors < 1%", ok=False, value=0.25),))

    assert headline(only).is_sustained
    assert not headline(broken).is_sustained
    assert " is not sustained: the threshold failed; " in headline(broken).sentence
    assert conclusion(broken.configurations).startswith("No offered rate was sustained")


def test_of_an_engine_without_response_times_the_latency_is_the_duration():
    results = stored("single-process")
    unknown = replace(results.configurations[0].stages[2].response_time_ms, p95=None, unbounded=UNSET)
    head = headline(with_stage(results, (0, 2), response_time_ms=unknown))

    assert headline(results).p95_title == "p95 Response Time"
    assert head.p95_title == "p95 Duration"
    assert head.p95_ms == results.configurations[0].stages[2].duration_ms.p95


def test_of_several_configurations_the_best_one_is_named():
    head = headline(stored("replicas-usl"))

    assert head.configuration == "replicas=6"
    assert "sustains 1,150 RPS, the highest rate of 4 configurations" in head.sentence


@pytest.mark.parametrize(
    ("limit", "phrase"),
    [
        (Limit.HOST_CPU, "the limit is the host’s CPU (proven)."),
        (Limit.CONNECTION, "the limit is setting up connections (proven)."),
        (Limit.POOL, "the limit is the pool of connections to db (proven)."),
        (Limit.SERVICE, "the limit is db (proven)."),
        (Limit.GENERATOR, "the load generator is the limit, so the service’s limit is unknown."),
        (Limit.UNDETERMINED, "the data do not show what limits it."),
    ],
)
def test_each_limit_has_its_phrase(limit, phrase):
    results = limited_to(stored("docker-4k"), (0, 0), limit, service="db")

    assert headline(results).sentence.endswith(phrase)


@pytest.mark.parametrize("limit", Limit)
def test_every_verdict_has_a_sentence(limit):
    head = headline(limited_to(stored("single-process"), (0, 3), limit))

    assert head.sentence.endswith(".")
    assert "None" not in head.sentence


@pytest.mark.parametrize("name", CASES)
def test_special_runs_have_a_headline(name):
    head = headline(case(name))

    assert head.sentence.endswith(".")
    assert head.rate is None or head.rate >= 0


def test_a_run_without_any_measured_stage_says_so():
    results = stored("docker-4k")
    stage = results.configurations[0].stages[0]
    nothing = with_stage(
        results, status=StageStatus.NOT_RUN, actual_rps=None, achieved=None, verdict=replace(stage.verdict)
    )

    head = headline(nothing)

    assert head.sentence == "No stage was measured, so this run establishes nothing."
    assert (head.rate_text, head.p95_text, head.errors_text) == ("not measured",) * 3


def test_an_invalid_measurement_is_no_verdict():
    results = with_stage(stored("docker-4k"), validity=StageValidity(Validity.INVALID, ("the clock jumped",)))

    assert headline(results).sentence == (
        "4,000 RPS is not shown to be sustained; the measurement is invalid (the clock jumped)."
    )


def test_a_lower_rate_that_was_missed_is_not_among_every_offered_rate():
    results = stored("single-process")
    stages = results.configurations[0].stages[:3]
    doubt = StageValidity(Validity.INVALID, ("a load generator was lost",))
    one_missed = with_configuration(results, stages=(replace(stages[0], validity=doubt), *stages[1:]))

    sentence = headline(one_missed).sentence

    assert sentence.startswith("The service sustains 4,000 RPS; ")
    assert "every offered rate" not in sentence


def missed_beside_a_ramp():
    """Results whose only constant rate was missed, and whose ramp had the highest throughput."""
    results = stored("single-process")
    constant = results.configurations[0].stages[3]
    ramp = replace(
        constant,
        ramp=Ramp(100.0, 20_000.0),
        name="100 to 20,000 RPS",
        actual_rps=9_000.0,
        verdict=replace(constant.verdict, code=Limit.HOST_CPU),
    )
    return with_configuration(results, stages=(constant, ramp))


def test_the_highest_throughput_is_one_number_with_its_own_limit_in_all_places():
    results = missed_beside_a_ramp()
    head, said = headline(results), unmarked(conclusion(results.configurations))

    assert (head.rate_title, head.rate_text) == ("Highest throughput", "9,000 RPS")
    assert head.sentence == (
        "10,000 RPS is not sustained; the highest throughput is 9,000 RPS, in the ramp from 100 to 20,000 "
        "RPS; the limit is the host’s CPU (likely)."
    )
    assert (
        "The highest throughput is 9,000 RPS, in the ramp from 100 to 20,000 RPS; the verdict is host-"
        in said
    )
    assert head.cpu is not None
    assert head.cpu.at == "100 to 20,000 RPS"


def test_server_errors_are_named_although_most_failures_have_another_status():
    results = limited_to(stored("single-process"), (0, 3), Limit.ERROR)
    requests = replace(
        results.configurations[0].stages[3].requests,
        scheduled=10_000, failed=200, dropped=0, failures={"bad_status": 190, "timeout": 10},
        statuses={"302": 140, "500": 41, "404": 9},
    )  # fmt: skip

    def sentence(**changes):
        return headline(with_stage(results, (0, 3), requests=replace(requests, **changes))).sentence

    assert "2 % of the requests fail, mostly with status 302 and 41 with status 500 (" in sentence()
    assert "2 % of the requests fail, mostly with status 302 and 10 with timeout (" in sentence(
        statuses={"302": 181, "404": 9}
    )
    assert "2 % of the requests fail with status 302 (" in sentence(
        failures={"bad_status": 200}, statuses={"302": 200}
    )
    assert "fail or are dropped, 41 with status 500 (" in sentence(dropped=400, scheduled=10_400)


def test_only_the_stage_that_the_limit_is_of_makes_it_suspect():
    results = stored("single-process")
    suspect = StageValidity(Validity.SUSPECT, ("it was late",))
    at = [stage.name for stage in results.configurations[0].stages].index(headline(results).limited.name)

    other = headline(with_stage(results, (0, 0), validity=suspect))
    limited = headline(with_stage(results, (0, at), validity=suspect))

    assert (other.validity, other.limit_validity) == (Validity.VALID, Validity.VALID)
    assert (limited.validity, limited.limit_validity) == (Validity.SUSPECT, Validity.SUSPECT)


def test_a_share_that_is_not_the_ratio_of_both_rates_is_named_in_the_sentence():
    results = with_stage(stored("docker-4k"), (0, 0), achieved=0.0)

    assert "achieves 1,978 RPS of 4,000 RPS (sustained: 0 %)" in headline(results).sentence


@pytest.mark.parametrize(
    ("fails", "sentence"),
    [
        (False, "up to 1,000 RPS and completes the ramp from 100 to 5,000 RPS; no limit was reached."),
        (True, "up to 1,000 RPS; no limit was reached."),
    ],
)
def test_a_ramp_to_a_higher_rate_is_completed_but_not_sustained(fails, sentence):
    results = stored("quickstart")
    stages = results.configurations[0].stages
    threshold = ThresholdResult("response_time.p95 < 5ms", not fails, 9.0)
    ramp = replace(stages[-1], ramp=Ramp(100.0, 5_000.0), target_rps=None, thresholds=(threshold,))

    head = headline(with_configuration(results, stages=(*stages, ramp)))

    assert head.sentence == f"The service sustains every constant rate, {sentence}"
    assert head.rate_text == "1,000 RPS"


@pytest.mark.parametrize(
    ("holds", "outcome", "tone"),
    [(True, "within-capacity", "good"), (False, "condition failed", "warn"), (None, "undecided", "warn")],
)
def test_a_rate_whose_search_conditions_failed_is_not_called_within_capacity(holds, outcome, tone):
    results = stored("quickstart")
    stage = results.configurations[0].stages[0]
    validity = replace(stage.validity, status=Validity.SUSPECT)
    probe = replace(stage, find=Probe("find", 1, holds, "", ()), validity=validity)
    probed = with_configuration(results, stages=(probe,))
    head = headline(probed)

    assert (head.outcome, head.limit_or_state) == (outcome, outcome)
    assert summary_rows(probed)[0]["verdict"] == f"{outcome} (suspect)"
    assert tone_of(probe) == tone
