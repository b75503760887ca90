"""The last sentences of a report."""

from msgspec.structs import replace

from runner.core.codes import Cause, Confidence, Limit, ProofAnswer, Validity
from runner.core.judgements import StageValidity, ThresholdResult
from runner.core.stage_results import CounterExperiment, Verdict
from runner.report.conclusion import conclusion
from runner.report.final_paragraphs import final
from runner.report.markdown_text import unmarked
from runner.report.prose import analysis
from runner.report.stage_choice import missed
from tests.report.mixes import mix
from tests.report.stored_results import stored, with_stage

CONFIGURATIONS = stored("single-process").configurations


def with_verdict(verdict: Verdict):
    """The configuration with another verdict on its stages that missed their rate."""
    (configuration,) = CONFIGURATIONS
    short = {stage.order for stage in missed(configuration.stages)}
    stages = [
        replace(stage, verdict=verdict) if stage.order in short else stage for stage in configuration.stages
    ]
    return [replace(configuration, stages=tuple(stages))]


def test_a_limit_of_the_generator_is_no_limit_of_the_service():
    assert "Above that rate, the verdict is app-cpu-limited" in conclusion(CONFIGURATIONS)

    text = conclusion(with_verdict(Verdict(Limit.GENERATOR, Confidence.LIKELY, ())))

    assert "Above that rate, the load generator is the limit" in text
    assert "the verdict is" not in text


def test_a_confirmed_cause_is_named_beside_the_limit_whose_cpu_it_uses():
    trial = CONFIGURATIONS[0].stages[0]
    proof = CounterExperiment(
        "keep-alive", "Keeping connections", Cause.CONNECTION_SETUP, (1.0, 2.0), 1.0,
        ProofAnswer.CONFIRMED, "Confirmed.", trial,
    )  # fmt: skip

    text = conclusion(
        with_verdict(Verdict(Limit.APP_CPU, Confidence.PROVEN, (), (), counter_experiment=proof))
    )

    assert "the verdict is app-cpu-limited because of connection set-up (proven, at 10,000 RPS)." in text


def test_a_service_that_sustained_every_rate_has_no_known_limit():
    kept_up = [replace(CONFIGURATIONS[0], stages=CONFIGURATIONS[0].stages[:3])]

    assert final(kept_up) == [
        "The service sustained 4,000 RPS, the highest rate tested. Its capacity limit was not reached."
    ]
    assert conclusion(kept_up).endswith("No bottleneck was found. Increase the offered rate to find one.")


def test_a_stage_without_any_finding_only_missed_its_target():
    results = with_stage(
        stored("single-process"), (0, 3), verdict=Verdict(Limit.UNDETERMINED, Confidence.HINT, ())
    )

    assert "it missed the target." in final(results.configurations)[0]


def test_the_p95_of_a_mix_is_said_to_be_that_of_all_requests():
    assert " ms over all requests." in conclusion(mix().configurations)
    assert "over all requests" not in conclusion(CONFIGURATIONS)


def test_a_suspect_stage_is_named_beside_the_highest_sustained_rate():
    (configuration,) = CONFIGURATIONS
    doubt = StageValidity(Validity.SUSPECT, ("the generator was late",))
    stages = tuple(replace(stage, validity=doubt) for stage in configuration.stages)

    text = conclusion([replace(configuration, stages=stages)])

    assert "This stage is **suspect**: the generator was late." in text


def test_the_capacity_has_the_value_of_each_condition_on_a_latency():
    results = stored("capacity")
    found = next(stage for stage in results.configurations[0].stages if stage.find and stage.find.holds)
    conditions = (
        ThresholdResult("errors < 1%", ok=True, value=0.0),
        ThresholdResult("duration{request=order}.p99 <= 50ms", ok=True, value=41.5, request="order"),
        ThresholdResult("first_byte.mean < 9ms", ok=True, value=3.0),
    )
    held = replace(found, find=replace(found.find, conditions=conditions))
    text = conclusion([replace(results.configurations[0], stages=(held,))])

    assert (
        " with a p99 duration of order of 41.5 ms (required: <= 50ms) and an average first byte of 3.00 ms "
        "(required: < 9ms)."
    ) in unmarked(text)


def test_responses_to_requests_of_the_warm_up_explain_a_rate_above_the_target():
    stage = CONFIGURATIONS[0].stages[0]
    more = replace(stage, actual_rps=stage.target_rps * 1.05)
    left = round(stage.target_rps * 1.05 * stage.window_s) - stage.requests.succeeded

    text = " ".join(map(unmarked, analysis([more])))

    assert f"due in the warm-up: at least {left:,} at {stage.target_rps:,.0f} RPS." in text
    assert "warm-up" not in " ".join(analysis([stage]))


def test_the_sentence_about_an_invalid_stage_does_not_say_what_the_service_achieved():
    stage = CONFIGURATIONS[0].stages[3]
    doubt = StageValidity(Validity.INVALID, ("the generator did not run",))

    text = " ".join(map(unmarked, analysis([replace(stage, validity=doubt)])))

    assert "At 10,000 RPS, the measurement is invalid and does not show what the service achieves" in text
    assert "the service achieved" not in text
