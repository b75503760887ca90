"""A counter-experiment confirms a verdict, withdraws it, or does neither."""

import re
from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.analyze.counter_experiment import concluded, counter_experiment
from runner.core.codes import Confidence, Limit, StageStatus
from runner.core.findings import Finding
from runner.core.measured import Latency
from runner.core.observed_results import PeerUsage, Usage
from runner.core.stage_results import Verdict
from runner.experiment.changes import CHANGES
from runner.experiment.load import read_spec
from runner.report.counter_experiments import counter_experiments
from runner.report.limit_text import limit
from tests.analyze import stages as made
from tests.analyze.facts import SPEC
from tests.analyze.systems import stored

CONFIGURATION = read_spec(SPEC, source="shop.yaml").configurations[0]


def verdict(code, service=None, confidence=Confidence.LIKELY):
    finding = Finding(Limit(code), confidence, "it is full", (), "make it larger")
    return Verdict(Limit(code), confidence, (replace(finding, service=service) if service else finding,))


def stage(rps, code="connection-limited", status="complete", validity="valid", cost=100.0, cores=1.0, **more):
    used = {"app": Usage(cores, None), "system": Usage(cores, None)} | more.pop("cpu_cores", {})
    return made.stage(
        actual_rps=rps,
        target_rps=5000.0,
        status=StageStatus(status),
        validity=made.valid(validity, *(() if validity == "valid" else ("a worker died",))),
        verdict=code if isinstance(code, Verdict) else verdict(code),
        cpu_us_per_request={"app": cost, "system": cost},
        cpu_cores=used,
        **more,
    )


def proved(of, before, after, change="keep-alive"):
    """The experiment about `of` with the blocks of both sides in turn, and the verdict then."""
    pairs = zip_longest(before, after)
    blocks = [(changed, one) for pair in pairs for changed, one in enumerate(pair) if one is not None]
    blocks = [(bool(changed), one) for changed, one in blocks]
    experiment = counter_experiment(of, blocks, CHANGES[change], CONFIGURATION)
    return experiment, concluded(of.verdict, [experiment])


def of_rates(before, after, change="keep-alive", code="connection-limited", then="app-cpu-limited"):
    """The same of blocks that differ in nothing but their rates and verdicts."""
    first, second = [stage(rps, code) for rps in before], [stage(rps, then) for rps in after]
    return proved(first[0], first, second, change)


def test_a_lifted_limit_is_proven_and_the_next_limit_named():
    experiment, proven = of_rates((2048, 2000, 2100), (3900, 4000))

    assert (proven.code, proven.confidence) == ("connection-limited", "proven")
    assert experiment.sentence == (
        "Using keep-alive connections increased throughput from 2,037 to 3,950 RPS (+94 %; without it, equal "
        "blocks differ by 5 %): connection set-up is confirmed as the limit; then it is app-cpu-limited."
    )
    assert [block.actual_rps for block in experiment.blocks] == [2048, 3900, 2000, 4000, 2100]
    assert experiment.target_rps == 5000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1000, 1250, 1010), (1300, 1240)),  # a block without the change is as good
        ((1000, 1300, 1000), (1450, 1400)),  # clear of all, but not of their spread
        ((1000, 1010, 990), (1060, 1070)),  # too small
    ],
)
def test_a_gain_that_drift_explains_confirms_nothing(before, after):
    experiment, unproven = of_rates(before, after)

    assert experiment.answer != "confirmed"
    assert unproven.confidence == "likely"


@pytest.mark.parametrize("change", ["workers", "replicas"])
def test_a_small_gain_does_not_confirm_while_the_same_limit_remains(change):
    experiment, unproven = of_rates(
        (1000, 1010, 990), (1200, 1240), change, "app-concurrency-limited", "app-concurrency-limited"
    )

    assert (experiment.answer, unproven.confidence) == ("inconclusive", "likely")
    assert "lifting the limit would raise throughput by more" in experiment.sentence


def test_a_small_gain_confirms_if_it_reaches_a_limit_that_was_not_there_before():
    experiment, proven = of_rates(
        (1000, 1010, 990),
        (1300, 1310),
        "workers",
        "app-concurrency-limited",
        verdict("service-limited", "db"),
    )

    assert proven.confidence == "proven"
    assert experiment.sentence.endswith("is confirmed as the limit; then it is service-limited (db).")


def test_a_limit_that_showed_before_the_change_as_well_is_no_next_limit():
    both = verdict("app-cpu-limited")
    both = replace(both, findings=(*both.findings, *verdict("service-limited", "db").findings))
    before = [stage(rps, both) for rps in (1000, 1010, 990)]
    after = [stage(rps, verdict("service-limited", "db"), cores=1.4) for rps in (1200, 1240)]

    experiment, unproven = proved(before[0], before, after, "replicas")

    assert (experiment.answer, unproven.confidence) == ("inconclusive", "likely")


def test_twice_the_resource_and_nearly_twice_the_rate_confirm_although_the_limit_remains():
    code = "app-concurrency-limited"

    experiment, proven = of_rates((1000, 1010, 990), (1900, 1950), "workers", code, code)

    assert (experiment.answer, proven.confidence) == ("confirmed", "proven")


def test_a_rate_that_is_then_sustained_confirms():
    experiment, proven = of_rates((1000, 1010, 990), (1250, 1250), "workers", then="within-capacity")

    assert proven.confidence == "proven"
    assert experiment.sentence.endswith("; it then sustained all of 5,000 RPS.")


def test_only_a_change_that_must_lift_the_limit_refutes_it():
    same = ((1000, 1010, 990), (1005, 1000))
    quota = of_rates(*same, "cpu-limit", "app-quota-throttled", "app-quota-throttled")[1]
    slots = of_rates(*same, "workers", "app-concurrency-limited", "app-concurrency-limited")[1]

    assert (quota.code, quota.withdrawn) == ("undetermined", "app-quota-throttled")
    assert quota.counter_experiment.answer == "refuted"
    assert (slots.code, slots.confidence) == ("app-concurrency-limited", "likely")
    assert slots.counter_experiment.answer == "no effect"
    assert slots.counter_experiment.sentence.endswith("(+0 %; without it, equal blocks differ by 2 %): "
                                                      "it did not lift the limit.")  # fmt: skip


def test_blocks_that_differ_too_much_refute_nothing():
    code = "app-quota-throttled"

    experiment, unproven = of_rates((1000, 1700, 1100), (1010, 1600), "cpu-limit", code, code)

    assert (experiment.answer, unproven.code) == ("inconclusive", code)


@pytest.mark.parametrize(("connections", "answer"), [(10, "refuted"), (5, "no effect")])
def test_a_larger_pool_refutes_only_if_the_app_then_opened_more_connections(connections, answer):
    def with_connections(rps, count):
        peer = PeerUsage(
            "app-1", "db", "127.0.0.1", 5432, "postgres", 7, (count, float(count), count), 1.0, 9
        )
        return stage(rps, verdict("pool-limited", "db"), peers=(peer,))

    before = [with_connections(rps, 5) for rps in (50, 51, 49)]
    after = [with_connections(rps, connections) for rps in (50, 50)]

    experiment, _ = proved(before[0], before, after, "pool")

    assert experiment.answer == answer


def test_the_change_that_decides_comes_first_and_the_others_are_kept():
    code = "app-concurrency-limited"
    same, _ = of_rates((1000, 1010, 990), (1005, 1000), "workers", code, code)
    more, _ = of_rates((1000, 1010, 990), (1900, 1950), "pool", code, code)

    proven = concluded(verdict(code), [same, more])

    assert [one.change for one in proven.experiments] == ["pool", "workers"]
    assert proven.confidence == "proven"


def test_what_did_not_lift_a_limit_is_said_beside_the_verdict():
    code = "app-concurrency-limited"
    experiment, unproven = of_rates((1000, 1010, 990), (1005, 1000), "workers", code, code)
    of = replace(stage(1000, code), verdict=unproven)

    assert experiment.answer == "no effect"
    assert limit(of).startswith(f"{code} (likely; not lifted by doubling the app’s workers)") or limit(
        of
    ).startswith(f"{code} (likely; not lifted by doubling the app's workers)")


def test_a_withdrawn_limit_leaves_what_remains_possible():
    two = verdict("app-quota-throttled")
    two = replace(two, findings=(*two.findings, *verdict("memory-limited").findings))
    before = [stage(rps, two) for rps in (1000, 1010, 990)]
    _, withdrawn = proved(before[0], before, [stage(1000, two), stage(1005, two)], "cpu-limit")

    more = limit(replace(before[0], verdict=withdrawn))
    nothing = limit(replace(before[0], verdict=replace(withdrawn, findings=withdrawn.findings[:1])))

    assert "What remains possible: memory-limited (likely): make it larger." in more
    assert "What remains possible: a limit that no counter shows." in nothing


def short(rps, p95, **more):
    return stage(rps, response_time_ms=Latency(p95=p95), **more)


def test_a_stage_just_short_of_its_target_that_loses_its_queue_needs_no_more_throughput():
    before, after = short(4004, 1469), short(4000, 2.81, code="within-capacity")

    experiment, proven = proved(before, [before] * 3, [after] * 2, "direct")

    assert proven.confidence == "proven"
    assert "from 1,469 to 2.81 ms at 4,000 RPS, the whole target rate" in experiment.sentence


def test_a_stage_just_short_of_its_target_is_not_refuted_by_one_that_could_not_give_more():
    before, after = short(3950, 50, code="forwarder-limited"), short(4000, 40, code="within-capacity")

    experiment, _ = proved(before, [before] * 3, [after] * 2, "direct")

    assert experiment.answer == "inconclusive"


def test_a_limit_that_does_not_show_in_the_blocks_is_not_refuted():
    fine = stage(4000, "within-capacity")

    experiment, unproven = proved(stage(2000, "app-quota-throttled"), [fine] * 3, [fine] * 2, "cpu-limit")

    assert (experiment.answer, unproven.code) == ("inconclusive", "app-quota-throttled")
    assert "the limit did not appear in the blocks" in experiment.sentence


@pytest.mark.parametrize(
    "after",
    [
        stage(4000, status="failed"),
        stage(4000, validity="invalid"),
        stage(None),
        stage(2048, code="generator-limited"),
    ],
)
def test_blocks_that_may_not_be_believed_show_nothing(after):
    before = stage(2048)

    experiment, unproven = proved(before, [before] * 3, [after] * 2)

    assert (unproven.code, unproven.confidence) == ("connection-limited", "likely")
    assert experiment.answer == "inconclusive"


def test_more_throughput_at_the_same_cost_and_cpu_does_not_confirm_a_cpu_limit():
    _, unproven = of_rates((1000, 1000, 1000), (1500, 1500), code="app-cpu-limited")

    assert unproven.confidence == "likely"


def test_cheaper_requests_confirm_what_uses_up_the_cpu_from_a_fifth_on():
    before = stage(1000, "host-cpu-limited")
    after = stage(1250, "host-cpu-limited", cost=80.0)

    experiment, proven = proved(before, [before] * 3, [after] * 2)

    assert proven.confidence == "proven"
    assert "connection set-up is confirmed as what uses up the host's CPU" in experiment.sentence


def test_an_almost_saturated_generator_proves_nothing():
    full = stage(2048, workers=1, cpu_cores={"generator": Usage(0.9, None)})

    experiment, unproven = proved(full, [full] * 3, [stage(3987)] * 2)

    assert unproven.confidence == "likely"
    assert "because the generator itself was almost saturated" in experiment.sentence


def test_an_undetermined_stage_stays_so():
    experiment, unproven = of_rates((1000, 1000, 1000), (2000, 2000), code="undetermined")

    assert (unproven.code, unproven.confidence) == ("undetermined", "likely")
    assert experiment.answer == "confirmed"


def test_one_run_of_each_side_needs_a_gain_that_no_drift_explains():
    before = stage(1000)

    small, large = proved(before, [before], [stage(1400)])[0], proved(before, [before], [stage(1600)])[0]

    assert (small.answer, large.answer) == ("inconclusive", "confirmed")


def test_a_single_block_with_the_change_does_not_show_how_much_they_differ():
    experiment, _ = of_rates((1000, 1010, 990), (1400,), "workers", "app-concurrency-limited")

    assert experiment.answer == "inconclusive"


def test_blocks_that_differ_by_more_than_a_saving_is_worth_do_not_rule_it_out():
    experiment, _ = of_rates((1324, 1424, 1023), (1282, 1290), code="host-cpu-limited")

    assert experiment.answer == "inconclusive"


def test_a_steady_drift_is_no_gain():
    experiment, _ = of_rates((1000, 1200, 1400), (1100, 1300), "workers", "app-concurrency-limited")

    assert (experiment.lift, experiment.actual_rps) == (0.0, (1200, 1200))


@given(st.lists(st.floats(0, 1e6), min_size=5, max_size=5))
def test_a_confirmed_gain_is_a_tenth_and_clear_of_every_block(values):
    experiment, _ = of_rates(values[0::2], values[1::2])

    if experiment.answer == "confirmed":
        assert min(values[1::2]) > max(values[0::2])
        assert experiment.lift is None or experiment.lift >= 0.1


def test_throughput_out_of_nothing_is_a_lifted_limit():
    experiment, proven = of_rates((0, 0, 0), (95, 95), then="within-capacity")

    assert (proven.confidence, experiment.answer, experiment.lift) == ("proven", "confirmed", None)
    assert experiment.sentence.startswith(
        "Using keep-alive connections increased throughput from 0 to 95 RPS: connection set-up is confirmed"
    )


def test_no_throughput_before_and_after_is_measured_and_refutes():
    code = "app-quota-throttled"

    assert of_rates((0, 0, 0), (0, 0), "cpu-limit", code, code)[0].answer == "refuted"


def test_the_table_has_the_rates_of_all_blocks():
    _, proven = of_rates((2048, 2000, 2100), (3900, 4000))
    configuration = replace(
        stored("single-process").configurations[0], stages=(replace(stage(2048), verdict=proven),)
    )

    section = counter_experiments(configuration)

    cells = re.sub(r"\s+", " ", section.table)
    assert (
        "| 5,000 | 2,048, 2,000, 2,100 | 3,900, 4,000 | +94 % | 5 % | **confirmed**: connection set-up |"
        in cells
    )
    assert "alternate" in section.method
