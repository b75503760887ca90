import csv
import io

import pytest

from runner.core.judgements import ThresholdResult
from runner.core.measured import Latency
from runner.core.metrics import METRICS
from runner.report.csv_table import render_csv
from runner.store.results_file import encode_results, parse_results
from tests.report import mixes
from tests.report.stored_results import RESULTS, first_stage, stored, with_stage

RUNS = ["app-server", "capacity", "docker-4k", "single-process"]


def rows_of(results):
    return list(csv.DictReader(io.StringIO(render_csv(results))))


@pytest.mark.parametrize("name", RUNS)
def test_every_stage_of_a_real_run_is_a_row_with_its_own_numbers(name):
    results = stored(name)

    rows = rows_of(results)

    stages = [stage for configuration in results.configurations for stage in configuration.stages]
    assert [float(row["actual_rps"]) for row in rows] == [stage.actual_rps for stage in stages]
    assert [float(row["duration_ms.p95"]) for row in rows] == [stage.duration_ms.p95 for stage in stages]
    assert [float(row["cpu_cores.app.avg"]) for row in rows] == [
        stage.cpu_cores["app"].avg for stage in stages
    ]


@pytest.mark.parametrize("name", RUNS)
def test_every_metric_of_the_registry_is_a_column_with_the_value_in_the_stage(name):
    results = stored(name)

    row = rows_of(results)[0]

    stage = first_stage(results)
    for metric in METRICS.values():
        if metric.scenarios_only:
            assert metric.key not in row
            continue
        value = metric.read(stage)
        assert row[metric.key] == "" if value is None else float(row[metric.key]) == value


def test_first_byte_and_tls_handshake_are_columns():
    results = with_stage(stored("single-process"), first_byte_ms=Latency(p95=1.25), tls_ms=Latency(p99=7.5))

    row = rows_of(results)[0]

    assert (row["first_byte_ms.p95"], row["tls_ms.p99"], row["tls_ms.p95"]) == ("1.25", "7.5", "")


def test_a_number_that_was_not_measured_is_empty_and_not_0():
    results = stored("single-process")
    usage = first_stage(results).cpu_cores | {"app": None}

    row = rows_of(with_stage(results, cpu_cores=usage, duration_ms=Latency()))[0]

    assert row["cpu_cores.app.avg"] == row["duration_ms.p95"] == ""


@pytest.mark.parametrize("name", RUNS)
def test_computed_whole_numbers_and_decoded_ones_have_the_same_text(name):
    decoded = stored(name)
    computed = with_stage(decoded, target_rps=int(first_stage(decoded).target_rps), actual_rps=100)

    reread = parse_results(encode_results(computed), RESULTS)

    assert isinstance(first_stage(reread).actual_rps, float)
    assert render_csv(reread) == render_csv(computed)
    assert rows_of(reread)[0]["actual_rps"] == "100"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_text_that_a_spreadsheet_would_calculate_stays_text(name):
    assert rows_of(with_stage(stored("single-process"), name=name))[0]["stage"] == f"'{name}"


def test_names_with_commas_quotes_and_line_breaks_are_one_cell():
    assert rows_of(with_stage(stored("single-process"), name='a,"b"\nc'))[0]["stage"] == 'a,"b"\nc'


def test_each_request_of_a_mix_is_a_row_after_that_of_its_stage():
    rows = rows_of(mixes.mix())

    assert [row["request"] for row in rows[:6]] == ["", "search", "view", "add-to-cart", "order", ""]
    order = rows[4]
    assert (order["stage"], order["target_rps"], order["scheduled"]) == ("100 RPS", "5", "100")
    assert float(order["duration_ms.p95"]) == first_stage(mixes.mix()).parts["order"].duration_ms.p95
    assert order["cpu_cores.app.avg"] == ""
    assert rows[0]["cpu_cores.app.avg"] != ""


def test_a_row_counts_the_failed_thresholds_of_its_own_request():
    failed = ThresholdResult("errors{request=order} < 1%", ok=False, value=0.2, request="order")

    rows = rows_of(with_stage(mixes.mix(), thresholds=(failed,)))

    assert [row["thresholds_failed"] for row in rows[:5]] == ["1", "0", "0", "0", "1"]


def test_the_columns_are_the_same_with_and_without_a_mix():
    assert list(rows_of(mixes.mix())[0]) == list(rows_of(stored("single-process"))[0])
