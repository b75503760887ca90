"""A counter-experiment confirms a verdict, withdraws it, or does neither."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.analyze.counter_experiment import prove
from runner.core.codes import StageStatus, Unbounded
from runner.core.results import Latency, Requests, Usage
from runner.experiment.counter_experiments import CHANGES
from runner.report.limit_text import counter_experiments
from tests.analyze import stages as made
from tests.analyze.systems import stored


def stage(rps, code="connection-limited", status="complete", validity="valid", cost=100.0, cores=1.0, **more):
    used = {"app": Usage(cores, None), "system": Usage(cores, None)} | more.pop("cpu_cores", {})
    return made.stage(
        actual_rps=rps,
        status=StageStatus(status),
        validity=made.valid(validity, *(() if validity == "valid" else ("a worker died",))),
        verdict=made.likely(code),
        cpu_us_per_request={"app": cost, "system": cost},
        cpu_cores=used,
        **more,
    )


def test_a_lifted_limit_is_proven():
    verdict = prove(stage(2048), stage(3987), CHANGES["keep-alive"])

    assert (verdict.code, verdict.confidence) == ("connection-limited", "proven")
    found = verdict.counter_experiment
    assert found.answer == "confirmed"
    assert found.sentence == (
        "Using keep-alive connections increased throughput from 2,048 to 3,987 RPS (+95 %): connection "
        "set-up is confirmed as the limit."
    )


def test_a_limit_that_remains_is_withdrawn():
    verdict = prove(stage(2048), stage(2050), CHANGES["keep-alive"])

    assert (verdict.code, verdict.withdrawn) == ("undetermined", "connection-limited")
    assert verdict.counter_experiment.answer == "refuted"


def test_a_stage_that_reaches_its_target_needs_no_larger_gain():
    verdict = prove(stage(3832), stage(4000, code="within-capacity"), CHANGES["keep-alive"])

    assert verdict.confidence == "proven"


def short(rps, p95, **more):
    return stage(rps, response_time_ms=Latency(p95=p95), **more)


def test_a_stage_just_short_of_its_target_that_loses_its_queue_needs_no_more_throughput():
    verdict = prove(short(4004, 577), short(4000, 2.81, code="within-capacity"), CHANGES["direct"])

    assert verdict.confidence == "proven"
    assert "the whole target rate" in verdict.counter_experiment.sentence
    assert "from 577 to 2.81 ms" in verdict.counter_experiment.sentence


def test_a_stage_just_short_of_its_target_is_not_refuted_by_one_that_could_not_give_more():
    verdict = prove(short(3950, 50), short(4000, 40, code="within-capacity"), CHANGES["direct"])

    assert (verdict.code, verdict.confidence) == ("connection-limited", "likely")


@pytest.mark.parametrize(
    ("after", "change"),
    [
        (stage(2150), "keep-alive"),  # neither clearly more nor clearly the same
        (stage(2048), "replicas"),  # a hop was added too
        (stage(4000, status="failed"), "keep-alive"),
        (stage(4000, validity="invalid"), "keep-alive"),
        (stage(None), "keep-alive"),
        (stage(2048, code="generator-limited"), "keep-alive"),
    ],
)
def test_an_inconclusive_counter_experiment_changes_nothing(after, change):
    verdict = prove(stage(2048), after, CHANGES[change])

    assert (verdict.code, verdict.confidence) == ("connection-limited", "likely")
    assert verdict.counter_experiment.answer == "inconclusive"


def test_more_throughput_at_the_same_cost_and_cpu_does_not_confirm_a_cpu_limit():
    verdict = prove(stage(1000, "app-cpu-limited"), stage(1500), CHANGES["keep-alive"])

    assert verdict.confidence == "likely"


def test_an_almost_saturated_generator_proves_nothing():
    full = stage(2048, workers=1, cpu_cores={"generator": Usage(0.9, None)})

    verdict = prove(full, stage(3987), CHANGES["keep-alive"])

    assert verdict.confidence == "likely"
    assert "because the generator itself was almost saturated" in verdict.counter_experiment.sentence


def test_a_saturated_generator_does_not_hide_a_saturated_app():
    full = stage(2048, "app-cpu-limited", workers=1, cpu_cores={"generator": Usage(0.9, None)})

    verdict = prove(full, stage(3987, cost=50.0), CHANGES["keep-alive"])

    assert verdict.confidence == "proven"
    assert verdict.counter_experiment.sentence.endswith(
        "connection set-up is confirmed as what uses up the app's CPU."
    )


def test_numbers_of_four_digits_are_written_out():
    verdict = prove(short(4004, 1469), short(4000, 2.8, code="within-capacity"), CHANGES["direct"])

    assert "from 1,469 to 2.8 ms at 4,000 RPS" in verdict.counter_experiment.sentence


def test_an_undetermined_stage_stays_so():
    verdict = prove(stage(1000, "undetermined"), stage(2000), CHANGES["keep-alive"])

    assert verdict.code == "undetermined"
    assert verdict.confidence == "likely"


@given(st.floats(1, 1e6), st.floats(0, 1e6))
def test_proof_needs_a_tenth_more(before, after):
    verdict = prove(stage(before), stage(after), CHANGES["keep-alive"])

    assert (verdict.confidence == "proven") == (after / before - 1 >= 0.1)


def test_throughput_out_of_nothing_is_a_lifted_limit():
    verdict = prove(stage(0.0), stage(95, code="within-capacity"), CHANGES["keep-alive"])

    proof = verdict.counter_experiment
    assert (verdict.confidence, proof.answer, proof.lift) == ("proven", "confirmed", None)
    assert proof.sentence.startswith(
        "Using keep-alive connections increased throughput from 0 to 95 RPS: connection set-up is confirmed"
    )


def test_no_throughput_before_and_after_is_measured_and_refutes():
    assert prove(stage(0.0), stage(0.0), CHANGES["keep-alive"]).counter_experiment.answer == "refuted"


def test_a_percentile_among_failures_is_not_called_unmeasured_in_the_table():
    lost = Latency(unbounded={"p95": Unbounded.LOST})
    before = stage(90, response_time_ms=lost, requests=Requests(100, 100, 90, 10, 0, {"reset": 10}))
    after = stage(99, response_time_ms=Latency(p95=3.0))
    proven = replace(before, verdict=prove(before, after, CHANGES["keep-alive"]))
    configuration = replace(stored("single-process").configurations[0], stages=(proven,))

    table = counter_experiments(configuration).table

    assert re.search(r"\| no value: 10 % failed \| +3.00 \|", " ".join(table.split()))
    assert "not measured" not in table
