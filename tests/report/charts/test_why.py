"""The picture of the verdict: it follows from the limit, shows its line, and can be drawn."""

from __future__ import annotations

import dataclasses
import json
import re

from msgspec.structs import replace

from runner.core.codes import Limit, Validity
from runner.core.findings import Evidence
from runner.core.judgements import ThresholdResult
from runner.report.charts.chart import BLUE
from runner.report.charts.render import charts
from runner.report.charts.why import picture_of, why
from runner.report.headline import headline
from runner.store.chart_process import draw
from tests.report.stored_results import stored, with_stage
from tests.report.test_headline import limited_to, missed_beside_a_ramp


def drawn(results):
    """The picture, which the chart library must be able to draw."""
    chart = why(results)
    assert chart is not None
    _, light, _ = draw([chart])[chart.name]
    assert light.startswith(b"<svg")
    return chart


def test_every_verdict_has_a_picture_that_can_be_drawn():
    single = stored("single-process")
    charts = [(limit, why(limited_to(single, (0, 3), limit))) for limit in Limit]
    named = [dataclasses.replace(chart, name=f"why-{limit}") for limit, chart in charts if chart is not None]

    pictures = draw(named)

    assert len(pictures) == len(Limit)
    for _, light, _ in pictures.values():
        assert light.startswith(b"<svg")


def test_cpu_of_the_limiting_role_is_the_thickest_line_below_the_line_of_the_limit():
    chart = drawn(stored("single-process"))
    _, light, _ = draw([chart])["why"]
    lines = re.findall(rb'<path [^>]*d="M[^"]*L[^"]*" stroke="(#\w+)" stroke-width="([0-9.]+)"', light)

    rows = chart.spec["data"]["values"]
    assert {row["series"] for row in rows if row["main"]} == {"app"}
    assert {row["level"] for row in rows} == {100, 1000, 4000, 10000}
    assert '"datum": 0.95' in json.dumps(chart.spec)
    assert {colour for colour, width in lines if width == b"4"} == {BLUE.encode()}
    assert {width for colour, width in lines if colour != BLUE.encode()} == {b"1.5"}


def test_a_single_rate_has_a_bar_for_each_role():
    chart = drawn(stored("docker-4k"))

    assert chart.spec["layer"][0]["mark"]["type"] == "bar"
    assert "the host’s 2 cores" in chart.subtitle


def test_latency_within_the_capacity_has_the_bound_of_its_threshold():
    check = ThresholdResult("duration.p95 < 50ms", ok=True, value=3.0)
    chart = drawn(with_stage(stored("quickstart"), (0, 1), thresholds=(check,)))

    assert chart.spec["layer"][1]["encoding"]["y"]["datum"] == 50
    assert chart.subtitle.endswith("dashed: bound of duration.p95 < 50ms")


def test_failures_are_shown_by_kind_in_per_cent_of_the_requests_due():
    results = limited_to(stored("single-process"), (0, 3), Limit.ERROR)
    stage = results.configurations[0].stages[3]
    requests = replace(stage.requests, scheduled=1000, failed=30, dropped=10, failures={"timeout": 30})

    chart = drawn(with_stage(results, (0, 3), requests=requests))

    rows = {
        row["series"]: row["share"] for row in chart.spec["data"]["values"] if row["stage"] == "10,000 RPS"
    }
    assert rows == {"timeout": 3.0, "dropped": 1.0}


def test_a_ramp_without_slices_is_not_drawn_as_another_stage():
    assert why(missed_beside_a_ramp()) is None


def test_what_an_invalid_stage_achieved_is_not_said_of_the_service():
    results = limited_to(stored("single-process"), (0, 3), Limit.UNDETERMINED)
    validity = replace(results.configurations[0].stages[3].validity, status=Validity.INVALID)

    chart = drawn(with_stage(results, (0, 3), validity=validity))

    assert chart.title.startswith("At 10,000 RPS, the stage is invalid: ")


def test_a_share_that_is_not_the_ratio_of_the_rates_is_named():
    results = limited_to(stored("single-process"), (0, 3), Limit.UNDETERMINED)

    chart = drawn(with_stage(results, (0, 3), actual_rps=5130.0, achieved=0.416))

    assert chart.title == "At 10,000 RPS, the service achieved 5,130 of 10,000 RPS (sustained: 41.6 %)"


def test_of_several_configurations_the_one_that_limits_is_drawn_and_named():
    chart = drawn(stored("hop-ladder"))
    head = headline(stored("hop-ladder"))

    assert chart.title.startswith(f"In {head.limited_configuration} at 4,000 RPS, ")
    rows = chart.spec["data"]["values"]
    assert {row["level"] for row in rows} == {500, 4000}
    assert len(rows) == len({(row["series"], row["level"]) for row in rows})


def test_of_several_configurations_without_a_limit_all_are_drawn():
    results = stored("hop-ladder")
    (first, *_) = results.configurations
    within = replace(results, configurations=(first, replace(first, title="The same again")))

    assert headline(within).limit is Limit.WITHIN_CAPACITY
    assert why(within) is None
    assert picture_of(within, [chart.name for chart in charts(within)]) == "configurations"


def test_the_number_that_reaches_its_bound_is_named_before_one_that_does_not():
    below = Evidence("busiest thread of app", 0.84, "cores", 0.85)
    above = Evidence("a thread of app ran or was ready to run", 98.1, "%", 85.0)
    chart = drawn(limited_to(stored("single-process"), (0, 3), Limit.APP_CPU, evidence=(below, above)))

    assert chart.title == (
        "At 10,000 RPS, a thread of app ran or was ready to run: 98.1 %; the bound is 85 %; "
        "app used 1.00 cores"
    )


def test_of_what_must_not_happen_even_once_no_bound_is_named():
    killed = Evidence("processes killed for lack of memory", 1, "count", 1)
    chart = drawn(limited_to(stored("single-process"), (0, 3), Limit.MEMORY, evidence=(killed,)))

    assert chart.title == "At 10,000 RPS, processes killed for lack of memory: 1"


def test_one_point_is_no_curve():
    results = stored("quickstart")
    unknown = replace(results.configurations[0].stages[0].response_time_ms, p50=None, p95=None, p99=None)

    assert why(with_stage(results, (0, 0), response_time_ms=unknown)) is None
