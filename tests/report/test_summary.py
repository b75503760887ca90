"""What ends a run on a terminal: a row a stage, the promises that were broken, and a sentence."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from runner.cli.summary import show_summary
from runner.report.markdown_text import escape, unmarked
from runner.report.summary import broken_thresholds, summary_rows
from tests.report.test_junit import first_stage, stored


@given(st.text())
@example("\\")
def test_a_sentence_loses_its_escapes_and_keeps_its_words(text):
    assert unmarked(f"**{escape(text)}** holds") == f"{' '.join(text.split())} holds"


def test_of_a_search_only_what_decides_it_is_listed():
    results = stored("capacity")

    assert [row["stage"] for row in summary_rows(results)] == [
        "find 8,000 RPS", "find 8,300 RPS", "find 5,200 RPS", "find 5,400 RPS",
    ]  # fmt: skip


@pytest.fixture
def broken():
    results = stored("single-process")
    stage = first_stage(results)
    stage["repeat"] = 2
    stage["thresholds"] = [
        {"expr": "errors < 1%", "ok": False, "value": 0.25},
        {"expr": "achieved >= 99%", "ok": True, "value": 1.0},
    ]
    return results


def test_a_broken_promise_has_its_place_and_what_was_measured(broken):
    (found,) = broken_thresholds(broken)

    assert (found.stage, found.expr, found.measured) == ("100 RPS (repeat 2)", "errors < 1%", "25 %")


@pytest.mark.parametrize(("columns", "all_of_it"), [(80, False), (130, True)])
def test_the_summary_fits_its_terminal_and_ends_with_the_verdict(broken, columns, all_of_it):
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)

    show_summary(broken, console)

    table, said = console.file.getvalue().split("1 of 2 thresholds failed:")
    assert max(map(len, table.splitlines())) <= columns
    assert ("app cores" in table) == all_of_it
    assert "rate over time" in table
    assert "errors < 1% at 100 RPS (repeat 2): 25 %" in said
    assert "The highest rate shown to hold is 4,000 RPS" in said


def test_a_run_that_was_aborted_says_so_and_claims_nothing_for_what_was_not_run():
    results = stored("single-process")
    results["run"] |= {"status": "aborted", "signal": "SIGINT"}
    first_stage(results)["thresholds"] = [{"expr": "errors < 1%", "ok": True, "value": 0.0}]
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)

    show_summary(results, console)

    said = console.file.getvalue()
    assert "This run was aborted by SIGINT." in said
    assert "The threshold of the stages that were run passed." in said
