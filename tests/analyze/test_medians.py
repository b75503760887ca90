"""A repeated stage has one number wherever it is shown: the median of its usable repeats."""

from statistics import median

import pytest
from msgspec.structs import replace

from runner.analyze.median_stage import MEDIAN, median_stage
from runner.analyze.medians import of_medians
from runner.analyze.repeats import repeats
from runner.core.codes import StageStatus, Unbounded, Validity
from runner.core.judgements import StageValidity
from runner.core.measured import Latency
from runner.core.metrics import KEY_METRICS
from runner.core.observed_results import StageEvent, Usage
from runner.experiment.thresholds import Threshold, parse_threshold
from tests.analyze import stages as made
from tests.report.stored_results import stored

RATES = (90.0, 100.0, 97.0, 99.0, 60.0)
THRESHOLDS = tuple(
    Threshold.model_validate(parse_threshold(text)) for text in ("duration.p95 < 50ms", "errors < 1%")
)


def repeat(number, p95=10.0, lost=0, **changes):
    requests = replace(
        made.NOTHING.requests, scheduled=1000, sent=1000, succeeded=1000 - lost, failed=lost,
        failures={"reset": lost} if lost else {},
    )  # fmt: skip
    values = {
        "actual_rps": RATES[number - 1],
        "achieved": RATES[number - 1] / 100,
        "duration_ms": Latency(p50=p95 / 2, p95=p95, p99=p95, max=p95),
        "response_time_ms": Latency(p95=p95 + 1),
        "cpu_cores": {"app": Usage(number / 10, None)},
        "requests": requests,
    }
    return made.stage(repeat=number, order=number, **values | changes)


def failed(number):
    return repeat(
        number,
        status=StageStatus.FAILED,
        events=(StageEvent("out-of-memory", "app ran out of memory", 2.0, ()),),
        validity=StageValidity(Validity.INVALID, ("app ran out of memory 2.0 s into the measured window",)),
    )


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_every_number_is_the_median_of_the_repeats(count):
    stages = [repeat(number, p95=10.0 * number, lost=2 * number) for number in range(1, count + 1)]

    middle = median_stage(stages)

    assert (middle.repeat, middle.title) == (MEDIAN, "1,000 RPS (median)")
    for metric in KEY_METRICS.values():
        if not metric.scenarios_only:
            assert metric.read(middle) == pytest.approx(median(metric.read(stage) for stage in stages))
    (group,) = repeats(stages)
    for name, metric in group.metrics.items():
        assert metric.median == KEY_METRICS[name].read(middle)


def test_a_repeat_that_cannot_be_used_is_left_out_and_a_single_one_stays_what_it_is():
    stages = [repeat(1), failed(2), repeat(3)]

    assert median_stage(stages).actual_rps == pytest.approx((90 + 97) / 2)
    assert median_stage(stages[:2]) is stages[0]
    assert median_stage(stages[1:2]).status is StageStatus.FAILED


@pytest.mark.parametrize(("infinite", "finite"), [(1, True), (2, False)])
def test_a_percentile_among_failures_counts_as_infinite(infinite, finite):
    lost = Latency(p95=None, unbounded={"p95": Unbounded.LOST})
    stages = [repeat(n, **({"duration_ms": lost} if n <= infinite else {})) for n in (1, 2, 3)]

    latency = median_stage(stages).duration_ms

    assert (latency.p95 is not None) is finite
    assert (latency.why_unbounded("p95") is None) is finite
    (group,) = repeats(stages)
    assert ("duration_ms.p95" in group.metrics) is finite
    assert not finite or group.metrics["duration_ms.p95"].high is None


@pytest.mark.parametrize(
    ("p95s", "ok"), [((10, 20, 90), True), ((10, 60, 90), False), ((40, 58), True), ((40, 61), False)]
)
def test_a_threshold_is_judged_on_the_median(p95s, ok):
    stages = [repeat(number, p95=float(p95)) for number, p95 in enumerate(p95s, 1)]

    (group,) = repeats(stages, lambda _: THRESHOLDS)

    assert group.thresholds[0].ok is ok
    assert group.thresholds[0].value == median(p95s)


def test_thresholds_fail_if_no_more_than_half_of_the_repeats_remain():
    enough, few = (repeats(stages, lambda _: THRESHOLDS)[0] for stages in (
        [repeat(1), failed(2), repeat(3)], [repeat(1), failed(2)],
    ))  # fmt: skip

    assert [result.ok for result in enough.thresholds] == [True, True]
    assert (enough.left_out, enough.n) == ((2,), 2)
    assert [result.ok for result in few.thresholds] == [False, False]
    assert few.thresholds[0].why == (
        "only 1 of 2 repeats remain; repeat 2 could not be used: "
        "app ran out of memory 2.0 s into the measured window"
    )


def test_a_verdict_is_that_of_most_repeats_and_of_a_draw_the_limit():
    within, short = made.likely("within-capacity"), made.likely("app-cpu-limited")

    def of(*verdicts):
        return median_stage(
            [repeat(n, verdict=verdict) for n, verdict in enumerate(verdicts, 1)]
        ).verdict.code

    assert of(within, within, short) == "within-capacity"
    assert of(within, short, short) == "app-cpu-limited"
    assert of(within, short) == "app-cpu-limited"


def test_results_have_each_repeated_stage_once_and_that_twice_is_the_same():
    results = stored("single-process")
    configuration = results.configurations[0]
    stages = tuple(
        replace(stage, repeat=number, order=3 * place + number)
        for place, stage in enumerate(configuration.stages)
        for number in (1, 2, 3)
    )
    repeated = replace(configuration, stages=stages, repeats=repeats(stages))

    once = of_medians(repeated)

    assert [stage.name for stage in once.stages] == [stage.name for stage in configuration.stages]
    assert of_medians(once) == once
    assert [s.actual_rps for s in once.stages] == [s.actual_rps for s in configuration.stages]
