"""Latency and throughput of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.results import Results
from runner.report import number_format
from runner.report.charts.chart import (
    BLUE,
    FADING,
    GREEN,
    ORANGE,
    RED,
    Chart,
    Row,
    colour_scale,
    legend_filter,
    logarithmic,
    quantitative,
    tooltip,
)
from runner.report.charts.measured import MeasuredStage, measured_stages, several_configurations
from runner.report.charts.panels import Panels

_PERCENTILES: Final = {"p50": GREEN, "p95": BLUE, "p99": ORANGE, "max": RED}
_REACHED: Final = 0.99
"""Share of the target rate that counts as all of it."""


def latency(results: Results) -> Chart | None:
    """Return response time percentiles by stage, on a logarithmic axis."""
    stages = [
        measured
        for measured in measured_stages(results)
        if any(getattr(measured.stage.response_time_ms, name) for name in _PERCENTILES)
    ]
    if not stages:
        return None
    times = [
        (measured, name, ms)
        for measured in stages
        for name in _PERCENTILES
        if (ms := getattr(measured.stage.response_time_ms, name))
    ]
    rows: list[Row] = [
        {"panel": measured.configuration, "stage": measured.label, "series": name, "ms": ms}
        for measured, name, ms in times
    ]
    panels = Panels.of(stages)
    spec = {
        "params": [legend_filter()],
        "mark": {"type": "line", "point": {"size": 45}},
        "encoding": {
            "opacity": FADING,
            "x": panels.stage_axis(),
            "y": quantitative("ms", "Response time (ms)") | logarithmic(ms for _, _, ms in times),
            "color": colour_scale(_PERCENTILES),
            "tooltip": tooltip("panel", "stage", "series", "ms"),
        },
    }
    subtitle = "Response time in ms, logarithmic"
    return Chart("latency", _latency_title(stages), subtitle, panels.arrange(rows, spec))


def _latency_title(stages: Sequence[MeasuredStage]) -> str:
    """Name the fastest stage and the slowest one."""
    timed = [(p95, measured) for measured in stages if (p95 := measured.stage.response_time_ms.p95)]
    if not timed:
        return "Response time by stage"
    timed.sort(key=lambda pair: pair[0])
    several = several_configurations(measured for _, measured in timed)
    (low, fastest), (high, slowest) = timed[0], timed[-1]
    where = fastest.place(several=several)
    if fastest is slowest:
        return f"95 % of the requests at {where} completed within {number_format.ms(low)} ms"
    return (
        f"p95 response time: {number_format.ms(low)} ms at {where}, "
        f"{number_format.ms(high)} ms at {slowest.place(several=several)}"
    )


def throughput(results: Results) -> Chart | None:
    """Return the achieved rate beside the target rate, by stage."""
    stages = measured_stages(results)
    if not stages:
        return None
    rows: list[Row] = [
        {
            "panel": measured.configuration,
            "stage": measured.label,
            "actual": measured.stage.actual_rps,
            "target": measured.stage.target_rps,
        }
        for measured in stages
    ]
    panels = Panels.of(stages)
    width = panels.bar_width
    shared = {"x": panels.stage_axis(), "tooltip": tooltip("panel", "stage", "actual", "target")}
    heading = "Requests per second"
    bar = {
        "mark": {"type": "bar", "width": width, "color": BLUE},
        "encoding": {**shared, "y": quantitative("actual", heading)},
    }
    tick = {
        "mark": {"type": "tick", "color": RED, "thickness": 3, "opacity": 1, "size": round(width * 1.4)},
        "encoding": {**shared, "y": quantitative("target", heading)},
    }
    spec = panels.arrange(rows, {"layer": [bar, tick]})
    return Chart("throughput", _throughput_title(stages), "Bars: actual RPS; lines: target RPS", spec)


def _throughput_title(stages: Sequence[MeasuredStage]) -> str:
    """Name the stage that fell furthest behind its target rate."""
    missed = [
        (rps / stage.target_rps, name, stage)
        for name, stage in stages
        if (rps := stage.actual_rps or 0.0) < stage.target_rps * _REACHED
    ]
    if not missed:
        highest = number_format.rate(max(measured.stage.target_rps for measured in stages))
        return f"Every offered rate was achieved, up to {highest} RPS"
    share, name, worst = min(missed, key=lambda item: item[0])
    subject = name if several_configurations(stages) else "The service"
    actual, target = number_format.rate(worst.actual_rps), number_format.rate(worst.target_rps)
    return f"{subject} achieved {actual} of {target} RPS ({number_format.share(share)})"
