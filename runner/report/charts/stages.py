"""Latency and throughput of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.analyze.medians import of_medians
from runner.core.codes import Validity
from runner.core.metrics import METRICS
from runner.core.results import Results
from runner.report import number_format
from runner.report.capacity import shown
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row
from runner.report.charts.measured import (
    MeasuredStage,
    Panels,
    achieved,
    measured_stages,
    several_configurations,
)
from runner.report.metric_text import levels
from runner.report.prose import why_missed
from runner.report.stage_choice import constant, missed

_PERCENTILES: Final = {"p50": chart.GREEN, "p95": chart.BLUE, "p99": chart.ORANGE, "max": chart.RED}


def latency(results: Results) -> Chart | None:
    """Return response time percentiles by stage, on a logarithmic axis.

    None where no configuration has two stages: the distribution shows all of one.
    """
    times = [
        (measured, name, ms)
        for measured in measured_stages(results, medians=True)
        if measured.stage.level_ramp is None
        and measured.stage.users is None  # its slices have a chart of their own
        for name in _PERCENTILES
        if (ms := getattr(measured.stage.response_time_ms, name))
    ]
    rows = [measured.row(series=name, ms=ms) for measured, name, ms in times]
    stages = [measured for measured, _, _ in times]
    panels = Panels.of(stages)
    if max(map(len, panels.labels.values()), default=0) < 2:
        return None
    spec = {
        "params": [chart.legend_filter()],
        "mark": {"type": "line", "point": {"size": 45}},
        "encoding": {
            "opacity": chart.FADING,
            "x": panels.stage_axis(),
            "y": chart.quantitative("ms", "Response time (ms)") | chart.logarithmic(ms for _, _, ms in times),
            "color": chart.colour_scale(_PERCENTILES),
            "tooltip": chart.tooltip("panel", "stage", "series", "ms"),
        },
    }
    subtitle = "Response time in ms, logarithmic"
    return Chart("latency", _latency_title(stages), subtitle, panels.arrange(rows, spec))


def _latency_title(stages: Sequence[MeasuredStage]) -> str:
    """Name the fastest stage and the slowest one."""
    timed = [(p95, measured) for measured in stages if (p95 := measured.stage.response_time_ms.p95)]
    lossy = [measured for measured in stages if METRICS["response_time.p95"].unbounded(measured.stage)]
    if not timed:
        return "Response time by stage"
    timed.sort(key=lambda pair: pair[0])
    several = several_configurations(measured for _, measured in timed)
    (low, fastest), (high, slowest) = timed[0], timed[-1]
    where = fastest.place(several=several)
    if lossy:
        beyond = lossy[0].place(several=several)
        return f"p95 response time: {number_format.ms(low)} ms at {where}, no finite value at {beyond}"
    return (
        f"p95 response time: {number_format.ms(low)} ms at {where}, "
        f"{number_format.ms(high)} ms at {slowest.place(several=several)}"
    )


def throughput(results: Results) -> Chart | None:
    """Return the achieved rate beside the target rate, by stage."""
    # a mean over all numbers of users says little; a ramp of users has a chart of its own
    stages = [
        one
        for one in measured_stages(results, medians=True)
        if not (one.stage.users is not None and one.stage.slices)
    ]
    if not stages:
        return None
    of_scenarios = all(measured.stage.scenarios for measured in stages)
    rows = [_rates(measured, of_scenarios=of_scenarios) for measured in stages]
    panels = Panels.of(stages)
    shared = {"x": panels.stage_axis(), "tooltip": chart.tooltip("panel", "stage", "actual", "target")}
    heading = "Scenarios per second" if of_scenarios else "Requests per second"
    bar = {"type": "bar", "width": panels.bar_width, "color": chart.BLUE}
    tick = {"type": "tick", "color": chart.RED, "thickness": 3, "opacity": 1}
    tick["size"] = round(panels.bar_width * 1.4)
    layer = [
        {"mark": mark, "encoding": {**shared, "y": chart.quantitative(field, heading)}}
        for mark, field in ((bar, "actual"), (tick, "target"))
    ]
    spec = panels.arrange(rows, {"layer": layer})
    drawn, due = ("completed scenarios/s", "users/s due") if of_scenarios else ("actual RPS", "target RPS")
    targets = f"; lines: {due}" if any(row["target"] for row in rows) else ""
    return Chart("throughput", _throughput_title(results, stages), f"Bars: {drawn}{targets}", spec)


def _rates(measured: MeasuredStage, *, of_scenarios: bool) -> Row:
    """Return what a stage achieved and its target: requests per second, or runs of scenarios."""
    stage = measured.stage
    if of_scenarios:
        return measured.row(actual=stage.scenarios_per_s, target=stage.mean_users_per_s)
    return measured.row(actual=stage.actual_rps, target=stage.target_rps)


def _throughput_title(results: Results, stages: Sequence[MeasuredStage]) -> str:
    """Name the stage that fell furthest behind its target rate; by the rule of the whole report."""
    rated = [measured for measured in stages if constant([measured.stage])]
    if not rated:
        return _title_without_rate(stages)
    short = [measured for measured in rated if missed([measured.stage])]
    if not short:
        highest = levels(max((measured.stage for measured in rated), key=lambda stage: stage.rate))
        which = "valid stage" if _has_invalid(results) else "offered rate"
        return f"Every {which} was achieved, up to {highest}"
    worst = min(short, key=lambda measured: measured.stage.achieved or 0.0)
    subject = worst.configuration if several_configurations(stages) else "The service"
    stage, reason = worst.stage, why_missed(worst.stage)
    if stage.scenarios:
        share = number_format.share(stage.achieved or 0.0)
        return f"{subject} sustained {share} of {levels(stage)}{f', but {reason}' if reason else ''}"
    return f"{subject} achieved {achieved(stage)}{f', but {reason}' if reason else ''}"


def _title_without_rate(stages: Sequence[MeasuredStage]) -> str:
    """Return what the worst ramp achieved; of users, the highest throughput."""
    if all(stage.users is not None for _, stage in stages):
        best = max(stages, key=lambda measured: measured.stage.actual_rps or 0.0)
        highest = number_format.rate(best.stage.actual_rps)
        return f"The highest throughput was {highest} RPS, with {best.stage.name}"
    achieved = [measured.stage.achieved for measured in stages if measured.stage.achieved is not None]
    if not achieved:
        return "Requests per second by stage"
    due = "requests"
    if any(stage.scenarios for _, stage in stages):
        due = "users" if all(stage.scenarios for _, stage in stages) else "requests and users"
    if min(achieved) == 1:
        return f"The service sustained all {due} that were due"
    least = "at least " if len(achieved) > 1 else ""
    return f"The service sustained {least}{number_format.share(min(achieved))} of the {due} that were due"


def _has_invalid(results: Results) -> bool:
    """Return whether stages that ran are not drawn."""
    ran = (stage for one in results.configurations for stage in missed(shown(of_medians(one)).stages))
    return any(stage.validity.status is Validity.INVALID for stage in ran)
