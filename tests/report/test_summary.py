"""The end of a run on a terminal: a row for each stage, the thresholds that failed, and a sentence."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from runner.cli.summary import show_summary
from runner.core.codes import StageStatus, Validity
from runner.core.judgements import StageValidity, ThresholdResult
from runner.core.measured import Latency
from runner.report.headline import headline
from runner.report.markdown_text import escape, unmarked, without_controls
from runner.report.number_format import listed
from runner.report.summary import doubts, summary_rows
from tests.report.stored_results import stored, with_run, with_stage


@given(st.text())
@example("\\")
def test_a_sentence_loses_its_escapes_and_keeps_its_words(text):
    assert unmarked(f"**{escape(text)}** holds") == f"{without_controls(' '.join(text.split()))} holds"


def test_of_a_search_only_the_deciding_probes_are_listed():
    results = stored("capacity")

    assert [row["stage"] for row in summary_rows(results)] == [
        "find 8,000 RPS", "find 8,300 RPS", "find 5,200 RPS", "find 5,400 RPS",
    ]  # fmt: skip


def test_a_stage_without_numbers_has_dashes_and_its_status():
    results = with_stage(
        stored("single-process"),
        status=StageStatus.NOT_RUN,
        actual_rps=None,
        achieved=None,
        duration_ms=Latency(),
        cpu_cores={},
    )

    row = summary_rows(results)[0]

    assert [row[name] for name in ("actual RPS", "achieved", "duration p95 ms", "app cores")] == ["–"] * 4
    assert row["verdict"] == "not run"


def test_an_invalid_stage_is_marked_beside_its_verdict():
    results = with_stage(
        stored("single-process"), validity=StageValidity(Validity.SUSPECT, ("a worker was late",))
    )

    assert summary_rows(results)[0]["verdict"] == "within-capacity (suspect)"


def test_the_terminal_says_once_for_all_stages_why_they_are_not_valid():
    late, other = ("a worker was late",), ("a worker was late", "redis-server (pid 7) used 0.5 cores")
    results = stored("single-process")
    for place in range(3):
        reasons, disturbed = (late, False) if place == 0 else (other, True)
        judged = StageValidity(Validity.SUSPECT, reasons, disturbed=disturbed)
        results = with_stage(results, (0, place), validity=judged)
    titles = [stage.title for stage in results.configurations[0].stages[:3]]

    programs = "programs outside the experiment used the processors"
    assert list(doubts(results)) == [
        f"The results for {listed(titles[1:])} are suspect: a worker was late; {programs}.",
        f"The results for {titles[0]} are suspect: a worker was late.",
    ]
    assert list(doubts(stored("single-process"))) == []


def test_many_reasons_of_a_stage_are_counted_on_the_terminal():
    reasons = tuple(f"worker {number} was late" for number in range(6))
    results = with_stage(stored("single-process"), validity=StageValidity(Validity.SUSPECT, reasons))

    assert list(doubts(results)) == [
        "The results for 100 RPS are suspect: worker 0 was late; worker 1 was late; 4 more reasons."
    ]


def test_many_doubtful_stages_are_counted_on_the_terminal():
    results = stored("hop-ladder")
    for place in range(6):
        judged = StageValidity(Validity.SUSPECT, (f"worker {place} was late",))
        results = with_stage(results, (place, 0), validity=judged)

    *named, last = doubts(results)

    assert len(named) == 4
    assert last.endswith("more stages are doubtful; the report says why.")


@pytest.fixture
def broken():
    thresholds = (
        ThresholdResult("errors < 1%", ok=False, value=0.25),
        ThresholdResult("achieved >= 99%", ok=True, value=1.0),
    )
    return with_stage(stored("single-process"), repeat=2, thresholds=thresholds)


def shown(results, columns, **options):
    """The summary as a terminal of a width shows it, without colours."""
    settings = {"force_terminal": True, "color_system": None} | options
    console = Console(file=io.StringIO(), width=columns, **settings)
    show_summary(results, console)
    return console.file.getvalue()


@pytest.mark.parametrize(("columns", "complete"), [(80, False), (130, True)])
def test_the_summary_fits_its_terminal_and_ends_with_the_thresholds(broken, columns, complete):
    table, rest = shown(broken, columns).split("\n\n")

    assert max(map(len, table.splitlines())) <= columns
    assert ("cores" in table) == complete
    assert "rate over" in table
    assert "Threshold failed: errors < 1%: failed at 100 RPS (repeat 2): 25 %" in unwrapped(rest)
    assert "4,000 RPS" in rest


def unwrapped(text):
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
@pytest.mark.parametrize("name", ["app-server", "capacity", "docker-4k", "hop-ladder", "replicas-usl"])
def test_no_width_breaks_a_word_or_hides_a_figure_or_a_verdict(name, columns):
    results = stored(name)

    text = shown(results, columns)

    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text.replace(" … ", "")
    words = text.split()
    for row in summary_rows(results):
        figures = (
            row[column] for column in ("actual RPS", "duration p95 ms", "requests lost", "verdict", "stage")
        )
        assert {word for figure in figures for word in figure.split()} <= {word.strip(",") for word in words}


def test_no_line_of_the_summary_repeats_another():
    failing = ThresholdResult("errors < 1%", ok=False, value=0.25)
    results = stored("single-process")
    for place in range(3):
        results = with_stage(results, (0, place), thresholds=(failing,))
    reason = ("the generator was late",)
    results = with_stage(results, (0, 2), validity=StageValidity(Validity.SUSPECT, reason))

    text = shown(results, 60)

    assert text.count("Threshold failed") == text.count("errors < 1%") == 1
    assert unwrapped(text).count("the generator was late") == 1
    assert unwrapped(text).count(headline(results).sentence) == 1


def test_a_log_has_each_sentence_on_one_line_and_no_escapes(broken):
    lines = shown(broken, 40, force_terminal=False).splitlines()

    assert "Threshold failed: errors < 1%: failed at 100 RPS (repeat 2): 25 %" in lines
    assert headline(broken).sentence in lines
    assert not any("\x1b" in line for line in lines)


def test_the_summary_of_an_aborted_run_names_the_signal_and_limits_its_claims_to_completed_stages():
    results = with_run(stored("single-process"), status="aborted", signal="SIGINT")
    results = with_stage(results, thresholds=(ThresholdResult("errors < 1%", ok=True, value=0.0),))
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)

    show_summary(results, console)

    text = console.file.getvalue()
    assert "This run was aborted by SIGINT." in text
    assert "The threshold of the completed stages passed." in text


def test_thresholds_that_no_completed_stage_was_checked_against_do_not_count_as_passed():
    passed, later = (ThresholdResult(expr, ok=True, value=0.0) for expr in ("errors < 1%", "actual_rps > 9"))
    results = with_run(stored("single-process"), status="aborted", signal="SIGINT")
    results = with_stage(results, thresholds=(passed,))
    results = with_stage(results, (0, 1), thresholds=(passed, later), status=StageStatus.ABORTED)
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)

    show_summary(results, console)

    assert "The threshold of the completed stages passed." in console.file.getvalue()
