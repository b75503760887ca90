"""Latency over the level of each ramp, with the bounds of its thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET

from runner.core.judgements import ThresholdResult
from runner.core.metrics import lost_share, metric_of
from runner.core.results import Results
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import MeasuredStage, measured_stages, several_configurations
from runner.report.metric_text import level, level_unit
from runner.report.ramps import exceeded

_PERCENTILES: Final = {"p50": chart.GREEN, "p95": chart.BLUE, "p99": chart.ORANGE}
_MAX_RAMPS: Final = 6
_AXIS: Final = {"RPS": "requests per second", "users": "users", "users/s": "users per second"}
_DRAWN: Final = frozenset(f"duration.{name}" for name in _PERCENTILES)


def ramps(results: Results) -> Chart | None:
    """Return p50, p95 and p99 of each slice of each ramp over its rate or number of users."""
    stages = [measured for measured in measured_stages(results, medians=True) if measured.stage.slices][
        :_MAX_RAMPS
    ]
    several = several_configurations(stages)
    rows = [row for measured in stages for row in _rows(measured, several=several)]
    if not any(row["ms"] for row in rows):
        return None
    units = dict.fromkeys(_AXIS[level_unit(measured.stage)] for measured in stages)
    x_title = ", or ".join(units).capitalize()
    x = chart.quantitative("level", x_title) | {"scale": {"zero": False}}
    y = chart.quantitative("ms", "Duration (ms)") | chart.logarithmic(_number(row["ms"]) for row in rows)
    lines: Spec = {
        "params": [chart.legend_filter()],
        "transform": [{"filter": "datum.kind == 'slice'"}],
        "mark": {"type": "line", "point": {"size": 45}},
        "encoding": {
            "opacity": chart.FADING,
            "x": x,
            "y": y,
            "color": chart.colour_scale(_PERCENTILES),
            "tooltip": chart.tooltip("ramp", "level", "series", "ms", "failed"),
        },
    }
    bounds: Spec = {
        "transform": [{"filter": "datum.kind == 'bound'"}],
        "mark": {"type": "rule", "color": chart.RED, "strokeDash": [6, 4]},
        "encoding": {"y": y, "tooltip": chart.tooltip("ramp", "series", "ms")},
    }
    spec = {"layer": [lines, bounds] if any(row["kind"] == "bound" for row in rows) else [lines]}
    subtitle = "Duration of each slice in ms, logarithmic; dashed: bounds of thresholds"
    return Chart("ramps", _title(stages, several=several), subtitle, _arranged(rows, spec, len(stages)))


def _arranged(rows: Sequence[Row], spec: Spec, ramps: int) -> Spec:
    if ramps == 1:
        return {"data": chart.values(rows), "width": chart.WIDTH, **spec, "height": chart.HEIGHT}
    return {
        "data": chart.values(rows),
        "facet": {"field": "ramp", "type": "nominal", "sort": None, "title": None},
        "columns": 2,
        "spec": {**spec, "width": chart.WIDTH // 2 - 40, "height": chart.HEIGHT * 2 // 3},
        "resolve": {"scale": {"x": "independent"}},
    }


def _rows(measured: MeasuredStage, *, several: bool) -> Iterator[Row]:
    stage = measured.stage
    name = f"{measured.configuration}, {measured.label}" if several else measured.label
    for part in stage.slices:
        for series in _PERCENTILES:
            ms = getattr(part.duration_ms, series) or None
            yield {
                "ramp": name, "kind": "slice", "level": part.level.mean, "series": series, "ms": ms,
                "failed": number_format.share(lost_share(part)),
            }  # fmt: skip
    for result in stage.thresholds:
        if (bound_ms := _bound_ms(result)) is not None:
            yield {"ramp": name, "kind": "bound", "series": result.expr, "ms": bound_ms}


def _bound_ms(result: ThresholdResult) -> float | None:
    """Return the bound of a threshold on a percentile of the duration of all requests; None for others."""
    metric = metric_of(result.expr)
    if metric is None or result.request or metric.path not in _DRAWN:
        return None
    return result.bound or None


def _number(value: str | float | None) -> float | None:
    return value if isinstance(value, int | float) else None


def _title(stages: Sequence[MeasuredStage], *, several: bool) -> str:
    """Name the first threshold that a ramp passed; without any, the latency at its last level."""
    for measured in stages:
        for result in measured.stage.thresholds:
            if result.level is not UNSET:
                where = f" of {measured.place(several=several)}" if len(stages) > 1 else ""
                return f"{exceeded(result, measured.stage)}{where}"
    stage = stages[0].stage
    last = stage.slices[-1]
    p95 = number_format.ms(last.duration_ms.p95)
    return f"At {level(stage, last.level.mean)}, the p95 duration was {p95} ms"
