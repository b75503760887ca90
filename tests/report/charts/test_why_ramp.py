"""The picture of a ramp: offered and achieved rate at each level, and below it what ran out."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from runner.core.codes import Limit, Role
from runner.core.findings import Evidence
from runner.core.measured import Slice
from runner.core.observed_results import PeerUsage
from runner.core.ramp import Ramp
from runner.report.charts.render import charts
from runner.report.charts.why import picture_of, why
from runner.report.headline import headline
from tests.report.charts.test_why import drawn
from tests.report.stored_results import stored, with_stage
from tests.report.test_headline import limited_to

LIMITED = (0, 3)
LEVELS = (100.0, 300.0, 500.0, 700.0)


def ramp(limit, *evidence, service=None, users=False, **changes):
    """A run whose last stage is a ramp to 800 RPS that reaches at most 410."""
    results = limited_to(stored("single-process"), LIMITED, limit, evidence=evidence)
    stage = results.configurations[0].stages[3]
    verdict = stage.verdict
    if service:
        verdict = replace(verdict, findings=(replace(verdict.findings[0], service=service),))
    level = Ramp(0.0, 800.0)
    values = {"users": level, "target_rps": None} if users else {"ramp": level, "target_rps": 400.0}
    seconds = tuple(replace(moment, in_flight=20 * at) for at, moment in enumerate(stage.timeseries))
    return with_stage(
        results,
        LIMITED,
        **{
            "name": "ramp", "verdict": verdict, "slices": slices(stage), "achieved": 0.6,
            "timeseries": seconds, **values, **changes,
        },
    )  # fmt: skip


def only_ramp(results):
    """The same without the stages before the ramp."""
    (configuration,) = results.configurations
    return replace(results, configurations=(replace(configuration, stages=configuration.stages[3:]),))


def slices(stage, cpu=("app", "system"), lost=0):
    length_s = stage.window_s / len(LEVELS)
    return tuple(
        Slice(
            requests=replace(
                stage.requests, scheduled=1000, failed=lost, dropped=0, failures={"timeout": lost}
            ),
            actual_rps=min(level, 310.0 + at * 33),
            duration_ms=stage.duration_ms,
            response_time_ms=stage.response_time_ms,
            begin_s=at * length_s,
            end_s=(at + 1) * length_s,
            level=Ramp(level - 100, level + 100),
            due=round(level * length_s),
            cpu_cores={role: round(0.25 * (at + 1), 3) for role in cpu},
        )
        for at, level in enumerate(LEVELS)
    )


def panels(chart):
    """Of each panel: series to its values from the lowest level on."""
    found = []
    for panel in chart.spec["vconcat"]:
        series = {}
        for row in panel["data"]["values"]:
            series.setdefault(row["series"], []).append(row["value"])
        found.append(series)
    return found


def rules(chart):
    layers = [layer for panel in chart.spec["vconcat"] for layer in panel["layer"]]
    return [layer["encoding"]["y"]["datum"] for layer in layers if layer["mark"].get("type") == "rule"]


def test_the_limiting_cpu_is_drawn_below_the_rates_at_each_level_with_its_bound():
    results = ramp(Limit.APP_CPU, Evidence("CPU of app", 0.98, "cores", 0.85))
    chart = drawn(results)

    assert panels(chart) == [
        {"offered": [100, 300, 500, 700], "achieved": [100, 300, 376, 409]},
        {"app": [0.25, 0.5, 0.75, 1], "host total": [0.25, 0.5, 0.75, 1]},
    ]
    assert rules(chart) == [0.85]
    assert chart.title == (
        "In the ramp from 0 to 800 RPS, at most 409 RPS were achieved; CPU of app: 0.98 cores; the bound is "
        "0.85 cores"
    )
    assert chart.subtitle.endswith("; dashed: bound of the verdict, 0.85 cores; shaded: at the limit")
    assert '"low": 400' in json.dumps(chart.spec)


def test_a_role_without_cpu_by_level_has_the_queue_as_its_picture():
    results = ramp(Limit.PROXY_CPU)
    stage = results.configurations[0].stages[3]
    chart = drawn(with_stage(results, LIMITED, cpu_cores=stage.cpu_cores | {"proxy": stage.cpu_cores["app"]}))

    assert [list(series) for series in panels(chart)] == [
        ["offered", "achieved"], ["p95"], ["requests under way"],
    ]  # fmt: skip


def test_the_queue_is_drawn_against_the_size_of_the_pool_that_it_waits_for():
    stage = stored("single-process").configurations[0].stages[3]
    subject = next(name for name, one in stage.cpu_cores_by_subject.items() if one.role == Role.APP)
    peer = PeerUsage(subject, "db", "127.0.0.1", 5432, "postgres", 7, (5, 5.0, 5), 4.9, 12)
    chart = drawn(ramp(Limit.POOL, service="db", peers=(peer,)))

    under_way = panels(chart)[1]["requests under way"]
    assert under_way == sorted(under_way)
    assert rules(chart) == [5]
    assert "dashed: the app’s 5 connections to db" in chart.subtitle


def test_failures_of_each_level_are_drawn_by_kind():
    stage = stored("single-process").configurations[0].stages[3]
    chart = drawn(ramp(Limit.ERROR, slices=slices(stage, lost=50)))

    assert panels(chart)[1] == {"timeout": [5, 5, 5, 5]}


def test_users_have_no_offered_rate():
    chart = drawn(ramp(Limit.APP_CPU, users=True))

    assert list(panels(chart)[0]) == ["achieved"]
    assert chart.title == "In the ramp from 0 to 800 users, at most 409 RPS were achieved"


@pytest.mark.parametrize("limit", [Limit.WITHIN_CAPACITY, Limit.UNDETERMINED])
def test_without_a_cause_the_latency_over_the_level_is_the_picture(limit):
    results = only_ramp(ramp(limit))

    assert why(results) is None
    assert picture_of(results, [chart.name for chart in charts(results)]) == "ramps"


def test_the_highest_throughput_of_a_ramp_is_that_of_its_best_slice_in_headline_and_picture():
    only = only_ramp(ramp(Limit.APP_CPU))

    assert headline(only).rate == 409
    assert headline(only).p95_text == "see its slices"
    assert "at most 409 RPS were achieved" in drawn(only).title


def test_every_limit_of_a_ramp_has_a_picture_that_can_be_drawn():
    without = {Limit.WITHIN_CAPACITY, Limit.UNDETERMINED}

    assert {limit for limit in Limit if why(only_ramp(ramp(limit))) is None} == without
    drawn(ramp(Limit.MEMORY))
    drawn(ramp(Limit.GENERATOR, slices=slices(stored("single-process").configurations[0].stages[3], lost=9)))
