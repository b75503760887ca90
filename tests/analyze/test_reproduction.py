"""A rerun is reproduced, differs in named metrics, or is inconclusive for a reason."""

from random import Random

import pytest
from msgspec.structs import replace

from runner.analyze.reproduction import reproduction
from runner.core.codes import Limit, SearchEnding, StageStatus
from runner.core.comparison import SideBySide
from runner.core.measured import Requests
from runner.core.observed_results import Moment
from runner.report.reproduction import render_reproduction, reproduced
from tests.analyze.stages import valid
from tests.analyze.systems import each_stage, run, stages, stored, with_stages


@pytest.fixture
def then():
    return run(Random(1), repeats=5)


def again(**changes):
    return run(Random(2), repeats=5, **changes)


def searched(held, failed, ending=SearchEnding.FOUND):
    """Return a stored run whose searches all ended between these rates."""
    results = stored("capacity")
    changes = {"held_rps": held, "failed_rps": failed, "ending": ending}
    configurations = (
        replace(known, capacity=tuple(replace(search, **changes) for search in known.capacity))
        for known in results.configurations
    )
    return replace(
        results,
        run=replace(results.run, id=f"{held}-{failed}-{ending}"),
        configurations=tuple(configurations),
    )


def test_the_same_system_is_reproduced(then):
    found = reproduction(then, again())

    assert found.verdict == "reproduced"
    assert found.where == found.missing == ()
    assert reproduced(found).startswith("Reproduced. No metric is shown to differ.")


def test_a_slower_system_is_not_reproduced_and_each_difference_is_named(then):
    found = reproduction(then, again(slower=1.5))

    assert found.verdict == "not reproduced"
    places = {(each.stage, each.metric) for each in found.where}
    assert {(f"{n}00 RPS", "duration_ms.p95") for n in (1, 2, 3, 4)} <= places
    assert "100 RPS: p95 Duration (ms) +" in reproduced(found)


def test_a_better_system_is_not_reproduced_either(then):
    assert reproduction(then, again(slower=0.5)).verdict == "not reproduced"


def test_a_stage_that_was_not_measured_again_is_inconclusive(then):
    failed = {"status": StageStatus.FAILED, "validity": valid("invalid", "the app died")}
    now = again()
    now = with_stages(
        now,
        *(replace(stage, **failed) if stage.name == "200 RPS" else stage for stage in stages(now)),
    )

    found = reproduction(then, now)

    assert found.verdict == "cannot be told"
    assert "200 RPS: not measured (the app died)" in reproduced(found)


def test_only_a_suspect_stage_that_differs_is_inconclusive(then):
    then = each_stage(run(Random(1), repeats=1), validity=valid("suspect", "the generator was late"))

    far = reproduction(then, run(Random(2), repeats=1, slower=20))

    assert far.verdict == "cannot be told"
    assert "p95 Duration (ms) +" in reproduced(far)
    assert "but the stage is suspect" in reproduced(far)
    assert reproduction(then, run(Random(3), repeats=1)).verdict == "reproduced"


def test_a_run_with_nothing_in_common_has_a_reason(then):
    found = reproduction(then, each_stage(again(), status=StageStatus.ABORTED))

    assert found.verdict == "cannot be told"
    assert found.comparison is None
    assert "no usable stage in common" in render_reproduction(found)


def test_a_different_limit_is_named_and_decides_nothing(then):
    now = again()
    verdict = replace(stages(now)[0].verdict, code=Limit.HOST_CPU)

    found = reproduction(then, each_stage(now, verdict=verdict))

    assert found.verdict == "reproduced"
    assert {each.now for each in found.limits} == {"host-cpu-limited"}
    assert "is host-cpu-limited; in the archive it is within-capacity" in reproduced(found)


def test_a_different_machine_and_versions_are_listed_first(then):
    now = again()
    now = replace(now, environment=now.environment | {"cpu_count": 64})
    differs = [SideBySide("trio", "0.30.0", "0.31.0")]

    text = render_reproduction(reproduction(then, now, differs=differs, identity="ab" * 32))

    top = text.partition("## 100 RPS")[0]
    assert "**Different machine:** cpu count" in top
    assert "trio" in top
    assert "0.31.0" in top
    assert "ab" * 32 in top


@pytest.mark.parametrize(
    ("bracket", "verdict"),
    [
        ((5000, 5200), "reproduced"),
        ((5150, 5400), "reproduced"),
        ((6000, 6200), "not reproduced"),
        ((3000, 3100), "not reproduced"),
        ((None, 100), "not reproduced"),
        ((20000, None), "not reproduced"),
    ],
)
def test_searches_agree_if_their_ranges_overlap(bracket, verdict):
    found = reproduction(searched(5000, 5200), searched(*bracket))

    assert found.verdict == verdict
    assert "## Searches" in render_reproduction(found)


def test_a_stopped_search_is_inconclusive():
    now = searched(5000, 5200, SearchEnding.STOPPED)

    assert reproduction(searched(5000, 5200), now).verdict == "cannot be told"


def test_markup_in_an_archive_is_escaped(then):
    first, *others = stages(then)
    then = with_stages(then, replace(first, name="<img src=x>|`"), *others)
    now = again()

    text = render_reproduction(reproduction(then, now, differs=[SideBySide("<b>", "|", "`")], identity="x"))

    assert "<img" not in text.replace("\\<img", "")
    assert "<b>" not in text.replace("\\<b\\>", "")


@pytest.mark.parametrize("requests", [5, 50, 500])
def test_equal_results_of_few_requests_show_nothing_and_the_detectable_change_is_named(requests):
    then, now = (
        each_stage(run(Random(seed), repeats=1), requests=Requests(requests, requests, requests, 0, 0, {}))
        for seed in (1, 2)
    )

    found = reproduction(then, now)

    assert found.verdict == "cannot be told"
    assert {stage.requests for stage in found.too_little_data} == {requests}
    assert all(stage.detectable > 1 for stage in found.too_little_data)
    text = reproduced(found)
    assert text.startswith(
        "Inconclusive. No metric is shown to differ, but these runs could not have shown a doubling. "
        "100 RPS: the smallest detectable change in p95 Duration is "
    )
    assert f"%, with {requests} requests; 200 RPS: " in text
    assert text.endswith("Longer stages, higher rates and more repeats make smaller changes detectable.")
    assert "# Reproduction: inconclusive" in render_reproduction(found)


def test_a_stage_whose_seconds_vary_widely_shows_nothing_either():
    wide = tuple(Moment(float(second), 100, 10.0 ** (second % 3)) for second in range(1, 11))

    found = reproduction(*(each_stage(run(Random(seed), repeats=1), timeseries=wide) for seed in (1, 2)))

    assert found.verdict == "cannot be told"
    assert "over 10,000 %" in reproduced(found)


def test_a_difference_that_is_shown_outweighs_too_little_data():
    then, now = (
        each_stage(run(Random(seed), repeats=1, slower=slower), requests=Requests(500, 500, 500, 0, 0, {}))
        for seed, slower in ((1, 1.0), (2, 30.0))
    )

    assert reproduction(then, now).verdict == "not reproduced"
