"""Charts from stored results: their titles and data, and what happens where data is missing or odd."""

from __future__ import annotations

import itertools
import json

import pytest
from msgspec.structs import replace

from runner.core.codes import StageStatus, Unbounded
from runner.core.measured import Latency
from runner.report.charts.capacity import capacity
from runner.report.charts.chart import logarithmic, titled, untitled
from runner.report.charts.distribution import distribution
from runner.report.charts.over_time import over_time
from runner.report.charts.render import charts
from runner.store.chart_process import draw
from runner.store.rendered_files import rendered
from runner.store.results_file import encode_results, parse_results
from tests.report import mixes
from tests.report.stored_results import RESULTS, first_stage, stored, with_configuration, with_stage


def named(results):
    return {chart.name: chart for chart in charts(results)}


def test_numbers_that_cannot_be_drawn_cost_one_chart_and_not_the_report():
    results = with_stage(stored("single-process"), distribution=((50.0, -1.0),))
    expected = set(named(stored("single-process"))) - {"distribution"}

    files = rendered(results)

    assert set(named(results)) == expected
    assert {"report.md", "report.html", "charts/latency-light.svg"} <= set(files)
    assert "charts/distribution-light.svg" not in files


def test_computed_whole_numbers_and_decoded_ones_give_the_same_text():
    moments = tuple(
        replace(moment, t_s=int(moment.t_s)) for moment in first_stage(stored("single-process")).timeseries
    )
    computed = with_stage(
        stored("single-process"), target_rps=100, actual_rps=100, warmup_s=2, window_s=10, timeseries=moments
    )

    decoded = parse_results(encode_results(computed), RESULTS)

    assert isinstance(first_stage(decoded).target_rps, float)
    assert [json.dumps(titled(chart)) for chart in charts(decoded)] == [
        json.dumps(titled(chart)) for chart in charts(computed)
    ]


def test_the_title_names_the_slowest_stage_and_its_configuration():
    results = stored("hop-ladder")
    latency = replace(results.configurations[3].stages[0].response_time_ms, p95=9000.0, p99=9500.0)
    results = with_stage(results, (3, 0), response_time_ms=latency)

    drawn = named(results)

    slow = results.configurations[3]
    for chart in ("latency", "distribution"):
        assert slow.title in drawn[chart].title
        assert slow.stages[0].name in drawn[chart].title


def test_of_many_stages_the_distribution_shows_the_slowest_and_their_number():
    chart = distribution(stored("hop-ladder"))

    series = {row["series"] for row in chart.spec["data"]["values"]}
    assert len(series) == 10
    assert "the slowest 10 of 20 stages" in chart.subtitle
    assert any("Docker-proxy, nginx and two containers, kept, 4,000 RPS" in name for name in series)


def test_every_series_of_the_capacity_curve_fades_with_its_line():
    *series, required = capacity(stored("capacity")).spec["layer"]

    assert all("opacity" in layer["encoding"] for layer in series)
    assert required["encoding"]["y"]["datum"] == 50.0


def test_a_description_is_one_line_whatever_the_title():
    results = stored("hop-ladder")
    for at in range(len(results.configurations)):
        results = with_configuration(results, at, title="A title\n\nof [several](lines)")

    for chart in charts(results):
        assert "\n" not in chart.alt


def test_a_name_cannot_turn_the_direction_of_writing_in_a_chart():
    results = stored("hop-ladder")
    for at in range(len(results.configurations)):
        results = with_configuration(results, at, title=f"{at}\u202eabc")

    drawn = [
        text for chart in charts(results) for text in (json.dumps(titled(chart)), json.dumps(untitled(chart)))
    ]

    assert not [text for text in drawn if "\\u202e" in text]
    assert any("\\ufffdabc" in text for text in drawn)


def test_configurations_without_any_p95_have_no_empty_panel_for_it():
    results = stored("hop-ladder")
    lost = Latency(unbounded={"p95": Unbounded.LOST})
    without = results
    for at, configuration in enumerate(results.configurations):
        stages = tuple(replace(stage, response_time_ms=lost) for stage in configuration.stages)
        without = with_configuration(without, at, stages=stages)

    assert len(named(results)["configurations"].spec["hconcat"]) == 2
    assert "hconcat" not in named(without)["configurations"].spec
    assert named(without)["configurations"].subtitle.endswith("; none has a p95 response time")


@pytest.mark.parametrize("gone", ["all", "but one"])
def test_an_aborted_run_has_the_charts_that_it_has_data_for(gone):
    results = stored("single-process")
    for at in range(0 if gone == "all" else 1, len(results.configurations[0].stages)):
        results = with_stage(
            results, (0, at), status=StageStatus.NOT_RUN, actual_rps=None, achieved=None, timeseries=()
        )

    drawn = charts(results)

    assert bool(drawn) == (gone == "but one")
    pictures = draw(drawn)
    assert all(light.startswith(b"<svg") for _, light, _ in pictures.values())
    assert len(pictures) == len(drawn)


@pytest.mark.parametrize("name", ["throughput", "latency", "cpu", "over-time", "distribution"])
def test_a_stage_without_latency_and_cpu_usage_is_left_out_of_their_charts(name):
    results = with_stage(
        stored("docker-4k"), response_time_ms=Latency(), cpu_cores={}, distribution=None, timeseries=()
    )

    assert (name in named(results)) == (name == "throughput")


def test_each_search_of_a_capacity_curve_is_a_line_of_its_own_and_named_once_with_all_its_rates():
    results = stored("capacity")
    searches = results.configurations[0].capacity
    results = with_configuration(results, capacity=(*searches, replace(searches[0], repeat=2, rps=9000.0)))

    chart = capacity(results)

    lines = {(row["series"], row["search"]) for row in chart.spec["data"]["values"]}
    assert len(lines) == 3
    assert chart.title.startswith("connection=keep-alive sustains 8,000 and 9,000 RPS; ")


def test_a_rate_that_was_tried_again_is_one_point_of_the_curve_and_an_undecided_probe_is_no_failure():
    results = stored("capacity")
    search = results.configurations[0].capacity[0]
    first = search.probes[0]
    again = replace(first, order=first.order + 1000, ok=None, p95_ms=9.0)

    chart = capacity(with_configuration(results, capacity=(replace(search, probes=(first, again)),)))

    own = [row for row in chart.spec["data"]["values"] if row["series"] == "connection=keep-alive"]
    assert [(row["ms"], row["result"]) for row in own if row["last"]] == [(9.0, "undecided")]
    assert len(own) == 2
    assert chart.subtitle.endswith("crosses: undecided; dashed: the required p95")


@pytest.mark.parametrize(
    ("held", "title"),
    [(20_000.0, "The service sustains at least 20,000 RPS"), (None, "No rate was sustained")],
)
def test_a_search_without_a_capacity_has_the_highest_sustained_rate_in_its_title(held, title):
    results = stored("capacity")
    search = replace(results.configurations[0].capacity[0], rps=None, held_rps=held)
    results = replace(results, configurations=(replace(results.configurations[0], capacity=(search,)),))

    assert capacity(results).title == title


@pytest.mark.parametrize("name", ["latency", "distribution"])
def test_a_stage_that_lost_more_than_the_percentile_leaves_is_the_slowest(name):
    results = stored("docker-4k")
    fast = first_stage(results)
    lossy = {"p95": Unbounded.LOST, "p99": Unbounded.LOST}
    latency = replace(fast.response_time_ms, p95=None, p99=None, unbounded=lossy)
    results = with_stage(stored("hop-ladder"), (3, 0), response_time_ms=latency)

    title = named(results)[name].title
    assert results.configurations[3].title in title
    assert {"latency": "no finite value at", "distribution": "more than 1 in 100 failed"}[name] in title


def test_stages_follow_each_other_in_the_order_of_the_run_and_every_stage_has_its_band():
    results = stored("single-process")
    stages = results.configurations[0].stages
    results = with_configuration(
        results, stages=tuple(replace(stage, order=len(stages) - stage.order) for stage in stages)
    )

    names, rate, *_ = over_time(results).spec["vconcat"]

    shade = rate["layer"][0]["data"]["values"]
    assert [band["stage"] for band in shade] == [stage.name for stage in reversed(stages)]
    assert [one["to"] < other["from"] for one, other in itertools.pairwise(shade)] == [True] * 3
    assert [row["name"] for row in names["data"]["values"]] == [band["stage"] for band in shade]


def test_a_role_outside_the_list_may_use_the_most_cpu():
    results = stored("single-process")
    usage = results.configurations[0].stages[-1].cpu_cores
    results = with_stage(results, (0, 3), cpu_cores={**usage, "postgres": replace(usage["system"], avg=1.5)})

    assert "postgres used the most, 1.50" in named(results)["cpu"].title


def test_a_number_is_drawn_once():
    single, ladder, within = stored("docker-4k"), stored("hop-ladder"), stored("quickstart")

    of_single = named(single)
    assert of_single["why"].title == "At 4,000 RPS, the host used 1.99 of its 2 cores"
    assert not {"cpu", "throughput"} & set(of_single)
    assert "latency" not in named(within)
    assert named(within)["why"].title.endswith("ms")
    assert {"throughput", "latency", "cpu", "memory"} <= set(named(ladder))
    one_stage_each = ladder
    for at, configuration in enumerate(ladder.configurations):
        one_stage_each = with_configuration(one_stage_each, at, stages=configuration.stages[1:])
    drawn = named(one_stage_each)
    assert "throughput" not in drawn
    assert {row["target"] for row in drawn["configurations"].spec["data"]["values"]} == {4000.0}


def test_configurations_with_a_search_are_drawn_at_the_rate_that_it_found():
    chart = named(stored("capacity"))["configurations"]

    rows = {row["configuration"]: (row["rate"], row["limit"]) for row in chart.spec["data"]["values"]}
    searches = {one.title: one.capacity[0] for one in stored("capacity").configurations}
    assert rows == {name: (one.held_rps, one.limited_by.value) for name, one in searches.items()}
    assert chart.title.startswith("connection=keep-alive sustains ")


def test_labels_of_stages_that_would_overlap_are_slanted():
    few, many = (named(results)["throughput"].spec for results in (stored("single-process"), crowded()))

    angles = [spec["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] for spec in (few, many)]
    assert angles == [0, -40]


def crowded():
    """Return a run of many stages with long names."""
    results = stored("single-process")
    stages = tuple(
        replace(stage, name=f"{stage.name} on round {n}")
        for stage in results.configurations[0].stages
        for n in range(3)
    )
    return with_configuration(results, stages=stages)


@pytest.mark.parametrize(("numbers", "ticks"), [((2.0, 8.0), 5), ((0.3, 450.0), 4), ((None, 5.0), 5)])
def test_a_logarithmic_axis_over_decades_has_grid_lines_at_those_only(numbers, ticks):
    assert logarithmic(numbers)["axis"]["tickCount"] == ticks


def test_each_request_of_a_mix_is_a_row_with_a_dot_for_each_stage():
    chart = named(mixes.mix())["requests"]

    rows = chart.spec["data"]["values"]
    assert len(rows) == 4 * 4
    assert {row["series"] for row in rows} == {"100 RPS", "1,000 RPS", "4,000 RPS", "10,000 RPS"}
    assert chart.spec["encoding"]["y"]["sort"] == ["order", "add-to-cart", "view", "search"]
    assert chart.title == "At 10,000 RPS, the p95 response time of order is 1,416 ms, of search 354 ms"


def test_requests_without_a_finite_p95_are_named_and_have_no_dot():
    chart = named(mixes.mix(lossy="order"))["requests"]

    assert "without a finite value at some rates: order" in chart.subtitle
    assert "order" not in {row["request"] for row in chart.spec["data"]["values"]}


def test_of_many_requests_the_chart_shows_the_slowest_and_their_number():
    chart = named(mixes.mix(weights=mixes.many(40)))["requests"]

    shown = chart.spec["encoding"]["y"]["sort"]
    assert len(shown) == 30
    assert shown[0].startswith("request-40-")
    assert "the slowest 30 of 40 requests" in chart.subtitle
    assert {row["request"] for row in chart.spec["data"]["values"]} == set(shown)


@pytest.mark.parametrize("results", [stored("hop-ladder"), mixes.mix(weights={"only": 1})])
def test_a_chart_of_requests_needs_several(results):
    assert "requests" not in named(results)


@pytest.mark.parametrize("number", [2, 40])
def test_the_chart_of_requests_can_be_drawn(number):
    drawn = draw([named(mixes.mix(weights=mixes.many(number)))["requests"]])

    assert all(light.startswith(b"<svg") for _, light, _ in drawn.values())
    assert len(drawn) == 1


def test_configurations_have_the_same_rows_in_both_panels_although_some_have_no_p95():
    highest = max(range(2), key=lambda at: stored("hop-ladder").configurations[1].stages[at].rate)
    results = with_stage(stored("hop-ladder"), (1, highest), response_time_ms=Latency())
    chart = named(results)["configurations"]
    rows, latency = chart.spec["hconcat"]

    assert [row["p95"] is None for row in chart.spec["data"]["values"]].count(True) == 1
    assert rows["encoding"]["y"]["scale"]["domain"] == latency["encoding"]["y"]["scale"]["domain"]
    assert len(rows["encoding"]["y"]["scale"]["domain"]) == len(results.configurations)
    assert chart.subtitle.endswith("without a dot: no finite p95")


def test_stages_over_time_are_all_named_in_the_same_form():
    one = stored("docker-4k").configurations[0]
    named_so = ("The first", "Another with a name that is far too long for its band", "The third", "A fourth")
    several = replace(
        stored("docker-4k"), configurations=tuple(replace(one, title=title) for title in named_so)
    )
    names = [row["name"] for row in over_time(several).spec["vconcat"][0]["data"]["values"]]

    assert [name.rstrip("…") for name in names] == [
        title[: len(name.rstrip("…"))] for title, name in zip(named_so, names, strict=True)
    ]
    assert names[1].endswith("…")
