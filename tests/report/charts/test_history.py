"""Charts of an experiment's history."""

from msgspec.structs import replace

from runner.analyze.history import history
from runner.report.charts.history import history_charts
from tests.report.stored_results import stored


def test_shares_are_drawn_in_percent_and_rates_are_not():
    first = stored("docker-4k")
    second = replace(first, run=replace(first.run, id="second"))

    charts = history_charts(history([first, second], margin=0.05))
    percent = {chart.title: "%" in str(chart.spec["encoding"]["y"]["axis"]) for chart in charts}

    assert percent == {"Actual RPS": False, "Failed or Dropped": True} | {
        title: False for title in percent if "p95" in title
    }
