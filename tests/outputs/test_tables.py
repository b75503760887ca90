"""The tables of seconds and of histograms say the same as the report that was made from the same journal."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.archive.trials_from import read_trials_of
from runner.core.errors import StoredRunError
from runner.outputs import tables
from runner.outputs.column import Column, Kind, csv_text, ndjson_text
from runner.outputs.describe import described
from runner.outputs.histograms import HISTOGRAM_COLUMNS
from runner.outputs.timeseries_columns import TIMESERIES_COLUMNS
from runner.store.results_file import read_results
from tests.cli.conftest import Cli

REPORTS = Path(__file__).parents[2] / "reports"
RUNS = ["checkout", "compose"]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module", params=RUNS)
def run(request):
    """Results, rows of seconds and rows of histograms of a real run."""
    folder = REPORTS / request.param
    results, trials = read_results(folder), read_trials_of(folder)
    return (
        results,
        rows_of(tables.timeseries_csv(results, trials)),
        rows_of(tables.histograms_csv(results, trials)),
    )


def stages_of(results):
    return {(one.name, stage.order + 1): stage for one in results.configurations for stage in one.stages}


def by_trial(rows):
    groups = defaultdict(list)
    for row in rows:
        groups[row["configuration"], int(row["trial"])].append(row)
    return groups


def test_counts_of_all_seconds_add_up_to_those_of_the_stage_and_of_each_request(run):
    results, seconds, _ = run
    groups = by_trial(seconds)

    for place, stage in stages_of(results).items():
        parts = {"": stage, **{name: part for name, part in stage.parts.items() if part.scenarios is None}}
        for name, part in parts.items():
            kind = "request" if name else "stage"
            own = [row for row in groups[place] if (row["part"], row["name"]) == (kind, name)]
            sums = Counter()
            for row in own:
                sums.update(
                    {key: int(row[key]) for key in ("scheduled", "sent", "succeeded", "failed", "dropped")}
                )
            requests = part.requests
            assert sums == Counter(
                scheduled=requests.scheduled, sent=requests.sent, succeeded=requests.succeeded,
                failed=requests.failed, dropped=requests.dropped,
            )  # fmt: skip
            assert own[0]["phase"] in {"warm-up", "window"}


def test_runs_of_scenarios_add_up():
    results, trials = read_results(REPORTS / "checkout"), read_trials_of(REPORTS / "checkout")
    groups = by_trial(rows_of(tables.timeseries_csv(results, trials)))

    for place, stage in stages_of(results).items():
        runs = [row for row in groups[place] if row["part"] == "scenario"]
        assert {row["name"] for row in runs} == {name for name, one in stage.parts.items() if one.scenarios}
        assert sum(int(row["scheduled"]) for row in runs) == stage.scenarios.scheduled > 0
        assert sum(int(row["failed_unfinished"]) for row in runs) == stage.scenarios.unfinished
        users = [float(row["target_users_per_s"]) for row in runs if row["phase"] == "window"]
        assert sum(users) == pytest.approx(stage.mean_users_per_s * stage.window_s)


def test_the_cores_of_the_seconds_on_each_machine_average_to_those_of_the_stage():
    results, trials = read_results(REPORTS / "swarm"), read_trials_of(REPORTS / "swarm")
    groups = by_trial(rows_of(tables.timeseries_csv(results, trials)))
    compared = 0

    for place, stage in stages_of(results).items():
        machines = {node.name: node.cpu_cores for node in stage.nodes} or {"": stage.cpu_cores}
        for node, roles in machines.items():
            for role, usage in roles.items():
                own = [
                    float(row["cpu_cores"])
                    for row in groups[place]
                    if (row["part"], row["name"], row["node"], row["phase"]) == ("role", role, node, "window")
                ]
                if usage and len(own) >= stage.window_s - 1:
                    assert sum(own) / len(own) == pytest.approx(usage.avg, rel=0.1, abs=0.05)
                    compared += 1
    assert compared > 3


def test_percentiles_computed_from_the_buckets_are_those_of_the_report(run):
    results, _, buckets = run
    groups = by_trial(buckets)

    for place, stage in stages_of(results).items():
        counts = [
            (int(row["upper_us"]), int(row["count"]))
            for row in groups[place]
            if (row["part"], row["latency"]) == ("stage", "duration")
        ]
        total = sum(count for _, count in counts)
        assert total == stage.requests.succeeded
        if stage.requests.lost == 0:
            seen, rank = 0, -(-95 * total // 100)
            p95_us = next(upper for upper, count in counts if (seen := seen + count) >= rank)
            assert p95_us / 1000 == pytest.approx(stage.duration_ms.p95)


def test_each_column_of_json_has_one_type_and_no_null():
    results, trials = read_results(REPORTS / "checkout"), read_trials_of(REPORTS / "checkout")
    types = {Kind.TEXT: str, Kind.COUNT: int, Kind.NUMBER: float}

    for columns, render in (
        (TIMESERIES_COLUMNS, tables.timeseries_ndjson),
        (HISTOGRAM_COLUMNS, tables.histograms_ndjson),
    ):
        kinds = {column.name: types[column.kind] for column in columns}
        assert len(kinds) == len(columns)
        objects = [json.loads(line) for line in render(results, trials).splitlines()]
        assert objects
        assert all(type(value) is kinds[name] for row in objects for name, value in row.items())


@given(st.text(), st.integers(min_value=0), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_both_forms_of_a_table_have_the_same_values(text, count, number):
    columns = [
        Column(name, kind, "", "", lambda row, at=at: row[at])
        for at, (name, kind) in enumerate([("t", Kind.TEXT), ("c", Kind.COUNT), ("n", Kind.NUMBER)])
    ]

    (row,) = csv.DictReader(io.StringIO(csv_text(columns, [(text, count, number)]), newline=""))
    read = json.loads(ndjson_text(columns, [(text, count, number)]))

    assert row["t"].removeprefix("'") == text.removeprefix("'")
    assert not row["t"].startswith(("=", "+", "-", "@"))
    assert (int(row["c"]), read["c"]) == (count, count)
    assert (float(row["n"]) if row["n"] else None) == read.get("n") == number


def test_archive_and_folder_give_the_same_table_and_a_journal_cut_short_what_is_left(tmp_path):
    cli = Cli(tmp_path / "here")
    cli.folder.mkdir()
    run = shutil.copytree(REPORTS / "quickstart", cli.folder / "run")
    (archive,) = run.glob("*.zip")
    words = ("report", "--format", "timeseries")
    whole, packed = cli.in_process(*words, run), cli.in_process(*words, archive)
    assert whole.returncode == packed.returncode == 0, whole.stderr + packed.stderr
    assert whole.stdout == packed.stdout

    (run / "results.json").unlink()
    journal = run / "journal.ndjson"
    journal.write_bytes(journal.read_bytes()[:-100])
    cut = cli.in_process(*words, run)

    assert cut.returncode == 0, cut.stderr
    assert 1 < len(cut.stdout.splitlines()) < len(whole.stdout.splitlines())
    assert set(cut.stdout.splitlines()) < set(whole.stdout.splitlines())


def test_without_a_journal_the_message_says_what_to_give(tmp_path):
    cli = Cli(tmp_path / "here")
    cli.folder.mkdir()
    shutil.copy(REPORTS / "quickstart" / "results.json", cli.folder / "results.json")

    done = cli.in_process("report", "results.json", "--format", "histograms")

    assert done.returncode == 2
    assert "has no journal.ndjson" in done.stderr
    assert done.stdout == ""


def test_data_that_no_run_wrote_are_refused():
    results, (trial, *_) = read_results(REPORTS / "quickstart"), read_trials_of(REPORTS / "quickstart")
    from msgspec.structs import replace

    forged = replace(trial, window_s=0.0, target_rps=1.0, ramp=None, users="many")

    with pytest.raises(StoredRunError, match="not those of a run"):
        tables.timeseries_csv(results, [forged])


def test_the_documentation_has_every_column_and_metric_as_it_is():
    # To update it: python -m runner.outputs.describe
    page = (REPORTS.parent / "docs" / "outputs.md").read_text()

    assert described(page) == page
    assert all(f"| `{column.name}` |" in page for column in (*TIMESERIES_COLUMNS, *HISTOGRAM_COLUMNS))
