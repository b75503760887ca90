"""Single runs of a request mix: each request is compared with its own noise."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from runner.analyze.comparison import compare
from runner.analyze.variation import variation
from runner.core.codes import Unbounded
from runner.core.comparison import NotJudged
from runner.report.comparison import render_comparison
from tests.analyze.facts import RUN, results_of, stages_of, trial
from tests.analyze.mixed_facts import SPEC, Offered, mixed_load, mixed_trial

SECONDS = 30
LONG = SPEC.replace(b"4s", b"30s")


def results(number, *, search_ms=5.0, order_ms=200.0, lost=0):
    """Return a run in which orders are 4 % of some seconds and 6 % of others, so that p95 of all jumps."""
    few, many = (
        mixed_load(
            SECONDS, search=Offered(1000 - n, 1000 - n, search_ms), order=Offered(n, n - lost, order_ms)
        )
        for n in (40, 60)
    )
    seconds = tuple((few, many)[index % 2].seconds[index] for index in range(SECONDS))
    middle = mixed_load(SECONDS, search=Offered(950, 950, 1.0), order=Offered(50, 50, 1.0))
    load = replace(middle, seconds=seconds, planned=1000 * SECONDS)
    made = mixed_trial(search=Offered(950, 950, 1.0), order=Offered(50, 50, 1.0))
    made = replace(made, load=load, window_s=SECONDS, target_rps=1000)
    found = results_of(made, spec=LONG)
    return replace(found, run=replace(found.run, id=f"{RUN.run_id[:-1]}{number}"))


def verdicts(comparison):
    return {
        (stage.request, metric.name): metric.verdict
        for stage in comparison.stages
        for metric in stage.metrics
    }


@pytest.mark.parametrize(
    ("slower", "name"), [({"search_ms": 10.0}, "search"), ({"order_ms": 400.0}, "order")]
)
def test_one_request_that_takes_twice_as_long_is_found_though_p95_of_all_jumps(slower, name):
    found = verdicts(compare([results(1)], [results(2, **slower)]))

    other = "order" if name == "search" else "search"
    assert found[name, "duration_ms.p95"] == found[name, "duration_ms.p50"] == "worse"
    assert found[other, "duration_ms.p95"] != "worse"
    assert compare([results(1)], [results(2)]).verdict == "no difference shown"


def test_the_variation_of_a_request_is_that_of_its_own_seconds():
    (configuration,) = results(1).configurations
    (stage,) = configuration.stages

    assert stage.variation["duration_ms.p95"] > 1
    assert stage.parts["search"].variation["duration_ms.p95"] < 0.01
    assert stage.parts["order"].variation["duration_ms.p95"] < 0.01
    assert stage.parts["search"].variation["actual_rps"] < 0.02
    assert stage.parts["order"].variation["actual_rps"] == pytest.approx(0.2062, abs=0.001)


def test_a_block_has_enough_requests_beyond_the_percentile_and_too_few_blocks_say_nothing():
    load = mixed_load(9, search=Offered(70, 70, 2.0), order=Offered(1, 1, 8.0))
    rare = replace(load, seconds=tuple(second.parts["order"] for second in load.seconds), parts={})

    found = variation(load, 9)

    assert set(found) == {
        "actual_rps", "duration_ms.p50", "duration_ms.p95", "response_time_ms.p95",
    }  # fmt: skip
    assert variation(rare, 9) == {}
    assert "duration_ms.p95" not in variation(load, 8)  # two blocks of three seconds: 71 × 3 × 5 % > 10


def test_the_results_of_a_single_request_have_no_variation():
    stage, *_ = stages_of(trial(0, "100 RPS", 100, 100, 1.0, 0.2))

    assert (stage.parts, stage.variation) == ({}, {})


def test_a_percentile_that_became_infinite_is_named_and_not_judged():
    comparison = compare([results(1)], [results(2, lost=5)])

    order = next(stage for stage in comparison.stages if stage.request == "order")
    (gap,) = (gap for gap in order.without_value if gap.name == "duration_ms.p95")
    assert gap.base == pytest.approx(287, rel=0.01)
    assert (gap.head, gap.why_base, gap.why_head) == (None, None, Unbounded.LOST)
    place, why = ("shop", "100 RPS"), "it has no finite value in the head"
    assert NotJudged(*place, why, ("duration_ms.p95",), request="order") in comparison.not_judged
    text = render_comparison(comparison)
    assert "100 RPS, order: p95 Duration: it has no finite value in the head" in text
    assert "→ no finite value |" in text
    assert "not measured" not in text
    back = compare([results(2, lost=5)], [results(1)])
    assert back.not_judged == ()
    assert "no finite value →" in render_comparison(back)
