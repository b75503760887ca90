"""The time of day on axes of seconds: right for each stage, absent where it is not known."""

import re
from datetime import UTC, datetime

from msgspec.structs import replace

from runner.report.charts.clock import time_of_day, window_began
from runner.report.charts.over_time import over_time
from runner.store.chart_process import draw
from tests.report.stored_results import stored, with_configuration


def clocked():
    """A run whose windows began at 23:59:50 and a minute later each."""
    results = stored("single-process")
    stages = [
        replace(stage, window_at=f"2026-03-01T{23 if not place else 0}:{(59 + place) % 60:02}:50.000+00:00")
        for place, stage in enumerate(results.configurations[0].stages)
    ]
    stages = [replace(stage, window_at=stage.window_at.replace("T0:", "T00:")) for stage in stages]
    return with_configuration(results, stages=tuple(stages))


def test_each_second_has_its_time_of_day_also_beyond_midnight():
    rows = over_time(clocked()).spec["data"]["values"]

    of_first = [row["UTC"] for row in rows if row["stage"] == "100 RPS"]
    seconds = [row["t"] for row in rows if row["stage"] == "100 RPS"]
    assert of_first[seconds.index(5.0)] == "23:59:55"
    assert of_first[-1] > "00:00:00"
    assert next(row["UTC"] for row in rows if row["stage"] == "1,000 RPS" and row["t"] == 1.0) == "00:00:51"


def test_the_axis_is_drawn_with_the_time_of_day_below_the_seconds():
    chart = over_time(clocked())
    _, light, _ = draw([chart])[chart.name]

    assert "Seconds of load, and time (UTC)" in light.decode()
    assert re.findall(r">(23:59:\d\d|00:0\d:\d\d)<", light.decode())


def test_results_that_do_not_know_the_time_have_seconds_alone():
    chart = over_time(stored("single-process"))
    bottom = chart.spec["vconcat"][-1]["layer"][-1]["encoding"]["x"]

    assert "labelExpr" not in bottom["axis"]
    assert "UTC" not in chart.spec["data"]["values"][0]


def test_a_time_that_is_none_is_not_known():
    stage = stored("single-process").configurations[0].stages[0]

    assert window_began(replace(stage, window_at="soon")) is None
    assert time_of_day(None, 3.0) is None
    began = window_began(replace(stage, window_at="2026-03-01T10:00:00.500+02:00"))
    assert began == datetime(2026, 3, 1, 8, 0, 0, 500_000, UTC)
    assert time_of_day(began, 1.5) == "08:00:02"
