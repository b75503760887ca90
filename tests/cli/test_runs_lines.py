"""The lines of `runner runs`: what is too long is cut visibly in a table and wrapped on a narrow terminal."""

import json
import sys

import pytest

from runner.cli import runs_table
from runner.cli.runs import runs
from runner.store.run_summary import RunState, RunSummary
from tests.serve.folders import add_run

PROBLEM = "results.json cannot be read: Expecting value in line 1, column 1, where an object begins"


def lines(width):
    row = RunSummary(path="odd", key=(), state=RunState.FOREIGN, problem=PROBLEM)
    return list(runs_table.lines([row], width))


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_has_the_whole_problem_in_lines_that_fit(width):
    found = lines(width)

    assert max(map(len, found)) <= width
    assert PROBLEM in " ".join(line.strip() for line in found)


def test_failed_thresholds_are_not_taken_for_failed_requests():
    def last_columns(**counts):
        row = RunSummary(path="shop/1", key=(), state=RunState.COMPLETE, rate=100.0, unit="RPS", **counts)
        return [line.split("RPS")[-1].split() for line in runs_table.lines([row], 200)]

    heads, values = last_columns(thresholds=2, thresholds_failed=1)
    assert heads[-2:] == ["THRESHOLDS", "PATH"]
    assert values == ["–", "1", "of", "2", "failed", "shop/1"]
    assert last_columns(thresholds=2)[1] == ["–", "2", "passed", "shop/1"]
    assert last_columns()[1] == ["–", "–", "shop/1"]


def test_a_rate_whose_users_were_cut_off_is_no_plain_success():
    row = RunSummary(path="a", key=(), state=RunState.COMPLETE, verdict="within-capacity", cut_off_share=0.48)

    assert "within-capacity (48 % unfinished)" in list(runs_table.lines([row], 200))[1]


def test_a_table_shows_that_a_problem_was_cut():
    row = lines(160)[1]

    assert "not a run: results.json cannot be read" in row
    assert "…" in row
    assert "where an object begins" not in row


@pytest.mark.parametrize(
    ("is_terminal", "arguments", "shown"),
    [(True, (), 100), (True, ("--all",), 103), (True, ("--limit", "102"), 102), (False, (), 103)],
)
def test_a_terminal_shows_the_newest_hundred_unless_more_are_asked_for(
    tmp_path, monkeypatch, capsys, is_terminal, arguments, shown
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "400")
    for number in range(103):
        run = tmp_path / "runs" / str(number)
        run.mkdir(parents=True)
        (run / "results.json").write_text("{}")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)

    runs.main([str(tmp_path / "runs"), *arguments], standalone_mode=False)

    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1 + shown
    assert (f"the newest {shown} of 103 runs; --all shows all of them" in err) is (shown < 103)


def test_a_run_of_another_specification_than_the_run_before_is_marked(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "runs"
    for number in (1, 2, 3, 4):
        file = add_run(folder, number=number) / "results.json"
        results = json.loads(file.read_text())
        if number == 3:
            results["experiment"]["spec_sha256"] = "0" * 64
        if number == 4:
            results["experiment"]["spec_sha256"] = "0" * 64
            results["run"]["overrides"] = ["stages.0.rps=50"]
        file.write_text(json.dumps(results))

    runs.main([str(folder)], standalone_mode=False)
    listed = capsys.readouterr().out.splitlines()[1:]
    assert ["specification changed" in line for line in listed] == [True, True, False, False]

    runs.main([str(folder), "--format", "json", "--limit", "3"], standalone_mode=False)
    marks = [run["specification_changed"] for run in json.loads(capsys.readouterr().out)]
    assert marks == [True, True, False]
