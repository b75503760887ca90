import csv
import io

import pytest

from runner.report.csv_table import render_csv
from tests.report.test_junit import first_stage, stored


def rows_of(results):
    return list(csv.DictReader(io.StringIO(render_csv(results))))


@pytest.mark.parametrize("name", ["app-server", "capacity", "docker-4k", "single-process"])
def test_every_stage_of_a_real_run_is_a_row_with_its_own_numbers(name):
    results = stored(name)

    rows = rows_of(results)

    stages = [stage for each in results["configurations"] for stage in each["stages"]]
    assert [float(row["actual_rps"]) for row in rows] == [stage["actual_rps"] for stage in stages]
    assert [float(row["duration_ms.p95"]) for row in rows] == [
        stage["duration_ms"]["p95"] for stage in stages
    ]
    assert [float(row["cpu_cores.app.avg"]) for row in rows] == [
        stage["cpu_cores"]["app"]["avg"] for stage in stages
    ]


def test_what_was_not_measured_is_empty_and_not_0():
    results = stored("single-process")
    stage = first_stage(results)
    stage["cpu_cores"]["app"] = None
    stage["duration_ms"] = None

    row = rows_of(results)[0]

    assert row["cpu_cores.app.avg"] == row["duration_ms.p95"] == ""


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_what_a_spreadsheet_would_calculate_stays_text(name):
    results = stored("single-process")
    first_stage(results)["name"] = name

    assert rows_of(results)[0]["stage"] == f"'{name}"


def test_names_with_commas_quotes_and_lines_are_one_cell():
    results = stored("single-process")
    first_stage(results)["name"] = 'a,"b"\nc'

    assert rows_of(results)[0]["stage"] == 'a,"b"\nc'
