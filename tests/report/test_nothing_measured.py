"""Runs that ended before a stage offered anything: they establish nothing, and say what failed."""

import pytest
from msgspec.structs import replace

from runner.report.conclusion import conclusion
from runner.report.headline import headline
from runner.report.markdown_text import unmarked
from tests.analyze.facts import DIED, HEALTHY, results_of, second

NOTHING = "No stage was measured, so this run establishes nothing."


@pytest.mark.parametrize(
    "seconds", [(), (second(-1, 100, 100, 2.0),)], ids=["no second", "one of the warm-up"]
)
def test_a_stage_that_was_aborted_in_its_warm_up_measured_nothing(seconds):
    load = replace(HEALTHY.load, seconds=seconds, complete=False)
    results = results_of(replace(HEALTHY, status="aborted", load=load))
    stage = results.configurations[0].stages[0]

    assert (stage.actual_rps, stage.achieved) == (None, None)
    assert headline(results).sentence == NOTHING
    assert unmarked(conclusion(results.configurations)) == NOTHING


def test_a_stage_that_was_aborted_later_measured_something():
    load = replace(HEALTHY.load, seconds=HEALTHY.load.seconds[:1], complete=False)
    results = results_of(replace(HEALTHY, status="aborted", load=load))

    assert results.configurations[0].stages[0].actual_rps == 100
    assert NOTHING not in headline(results).sentence


def test_a_system_that_failed_in_the_warm_up_is_what_the_headline_says():
    results = results_of(replace(DIED, load=replace(DIED.load, seconds=())))

    assert "killed by SIGSEGV" in headline(results).sentence
    assert headline(results).sentence.endswith(NOTHING)
