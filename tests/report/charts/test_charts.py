"""Charts from stored results: what they say, and what becomes of them when data is odd."""

from __future__ import annotations

import copy
import itertools

import pytest

from runner.report.charts.chart import logarithmic
from runner.report.charts.render import charts, render_svg
from runner.report.charts.tails import capacity, distribution
from runner.report.charts.time import over_time
from runner.store.rendered_files import rendered
from tests.report.test_junit import first_stage, stored


def named(results):
    return {chart.name: chart for chart in charts(results)}


def test_a_chart_that_cannot_be_made_costs_neither_the_others_nor_the_report():
    results = stored("single-process")
    whole = set(named(results))
    first_stage(results)["distribution"] = [["fifty", 1.0]]

    files = rendered(results)

    assert set(named(results)) == whole - {"distribution"}
    assert {"report.md", "report.html", "charts/latency-light.svg"} <= set(files)
    assert "charts/distribution-light.svg" not in files


def test_the_title_names_the_slowest_stage_and_whose_it_is():
    results = stored("hop-ladder")
    slow = results["configurations"][3]
    slow["stages"][0]["response_time_ms"] |= {"p95": 9000.0, "p99": 9500.0}

    found = named(results)

    for chart in ("latency", "distribution"):
        assert slow["title"] in found[chart].title
        assert slow["stages"][0]["name"] in found[chart].title


def test_of_many_stages_the_distribution_shows_the_slowest_and_says_so():
    results = stored("hop-ladder")

    chart = distribution(results)

    series = {row["series"] for row in chart.spec["data"]["values"]}
    assert len(series) == 10
    assert "the slowest 10 of 20 stages" in chart.subtitle
    assert any("Docker-proxy, nginx and two containers, kept, 4,000 RPS" in each for each in series)


def test_every_series_of_the_capacity_curve_fades_with_its_line():
    layers = capacity(stored("capacity")).spec["layer"]

    assert all("opacity" in layer["encoding"] for layer in layers)


def test_a_description_is_one_line_whatever_the_title():
    results = stored("hop-ladder")
    for each in results["configurations"]:
        each["title"] = "A title\n\nof [several](lines)"

    for chart in charts(results):
        assert "\n" not in chart.alt


@pytest.mark.parametrize("gone", ["all", "but one"])
def test_an_aborted_run_has_the_charts_it_has_data_for(gone):
    results = stored("single-process")
    stages = results["configurations"][0]["stages"]
    for stage in stages if gone == "all" else stages[1:]:
        stage |= {"status": "not-run", "actual_rps": None, "achieved": None, "timeseries": []}

    found = charts(results)

    assert bool(found) == (gone == "but one")
    for chart in found:
        assert render_svg(chart)[0].startswith(b"<svg")


def test_each_search_of_a_capacity_curve_is_a_line_of_its_own_and_all_are_named_once():
    results = stored("capacity")
    each = results["configurations"][0]
    again = copy.deepcopy(each["capacity"][0]) | {"repeat": 2, "rps": 9000.0}
    each["capacity"].append(again)

    chart = capacity(results)

    lines = {(row["series"], row["search"]) for row in chart.spec["data"]["values"]}
    assert len(lines) == 3
    assert chart.title.startswith("connection=keep-alive holds 8,000 and 9,000 RPS; ")


def test_time_goes_by_in_the_order_that_was_run_and_every_stage_has_its_band():
    results = stored("single-process")
    stages = results["configurations"][0]["stages"]
    for stage in stages:
        stage["order"] = len(stages) - stage["order"]

    names, rate, *_ = over_time(results).spec["vconcat"]

    shade = rate["layer"][0]["data"]["values"]
    assert [band["stage"] for band in shade] == [stage["name"] for stage in reversed(stages)]
    assert [one["to"] < other["from"] for one, other in itertools.pairwise(shade)] == [True] * 3
    assert [each["name"] for each in names["data"]["values"]] == [band["stage"] for band in shade]


def test_names_of_stages_that_would_run_into_each_other_are_slanted():
    few, many = (named(each)["throughput"].spec for each in (stored("single-process"), crowded()))

    angles = [spec["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] for spec in (few, many)]
    assert angles == [0, -40]


def crowded():
    """A run of many stages with long names."""
    results = stored("single-process")
    stages = results["configurations"][0]["stages"]
    results["configurations"][0]["stages"] = [
        stage | {"name": f"{stage['name']} on round {n}"} for stage in stages for n in range(3)
    ]
    return results


@pytest.mark.parametrize(("numbers", "ticks"), [((2.0, 8.0), 5), ((0.3, 450.0), 4), ((None, 5.0), 5)])
def test_a_logarithmic_axis_over_decades_has_lines_at_those_only(numbers, ticks):
    assert logarithmic(numbers)["axis"]["tickCount"] == ticks
