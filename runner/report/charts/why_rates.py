"""Latency against the rate with the bounds of thresholds; achieved rate, latency and queue against it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from runner.core.codes import Limit, Validity
from runner.core.metric import Dimension
from runner.core.metrics import metric_of
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import achieved
from runner.report.charts.why_panels import untitle_levels
from runner.report.charts.why_stages import WhyStages, level_of
from runner.report.metric_text import written_bound

_PERCENTILES: Final = {"p50": chart.GREEN, "p95": chart.BLUE, "p99": chart.ORANGE}
_KINDS: Final = {
    "duration": ("duration_ms", "Duration (ms)"),
    "response_time": ("response_time_ms", "Response time (ms)"),
    "scenario_duration": ("scenario_duration_ms", "Scenario duration (ms)"),
}
_WIDE: Final = 20.0
"""Ratio of the highest latency to the lowest from which the axis is logarithmic."""


class _Number(NamedTuple):
    """A panel: its name within a sentence, its axis and its colour."""

    name: str
    title: str
    colour: str


_QUEUE: Final = {
    "actual": _Number("achieved rate", "Responses per second", chart.BLUE),
    "p95": _Number("p95 latency", "p95 (ms)", chart.ORANGE),
    "under_way": _Number("requests under way", "Under way", chart.GREEN),
}
_POINTS: Final = 2
"""Of a curve, at least."""
_HEIGHTS: Final = (130, 90, 80)


def latency(stages: WhyStages) -> Chart | None:
    """Return p50, p95 and p99 over the rate with the bounds of thresholds; None for a single rate."""
    if not stages.has_several_levels:
        return None
    kind = _kind(stages.limited)
    field, title = _KINDS[kind]
    rows = [row for measured in stages.stages for row in _percentiles(measured.stage, field)]
    if len({row["level"] for row in rows}) < _POINTS:
        return None
    bounds = list(_bounds(stages.limited, kind))
    known = [float(row["ms"] or 0) for row in rows] + [bound for bound, _ in bounds]
    wide = max(known) > _WIDE * min(known)
    y = chart.quantitative("ms", f"{title}{', logarithmic' if wide else ''}")
    y |= chart.logarithmic(known) if wide else {}
    line: Spec = {
        "data": chart.values(rows),
        "mark": {"type": "line", "point": {"size": 45}},
        "encoding": {
            "x": stages.level_axis,
            "y": y,
            "color": chart.colour_scale(_PERCENTILES),
            "tooltip": chart.tooltip("series", "level", "ms"),
        },
    }
    rules = [_rule(bound, y) for bound, _ in bounds]
    words = number_format.listed([f"bound of {expr}" for _, expr in bounds])
    subtitle = f"{title.removesuffix(' (ms)')} against the rate{f'; dashed: {words}' if words else ''}"
    spec = {**chart.size(), "layer": [line, *rules]}
    covers = frozenset({"latency"} if kind == "response_time" else ())
    return Chart("why", _latency_title(stages, field), subtitle, spec, covers)


def _kind(stage: Stage) -> str:
    """Return the latency that a threshold is about, else the one that reports show first."""
    names = [metric.path.partition(".")[0] for one in stage.thresholds if (metric := metric_of(one.expr))]
    of_threshold = next((name for name in names if name in _KINDS), None)
    default = (
        "scenario_duration" if stage.scenarios else "response_time" if stage.users is None else "duration"
    )
    return of_threshold or default


def _percentiles(stage: Stage, field: str) -> Iterator[Row]:
    for series in _PERCENTILES:
        if ms := getattr(getattr(stage, field), series):
            yield {"level": level_of(stage), "series": series, "ms": ms}


def _bounds(stage: Stage, kind: str) -> Iterator[tuple[float, str]]:
    for check in stage.thresholds:
        metric = metric_of(check.expr)
        if metric is None or check.request or metric.dimension is not Dimension.TIME:
            continue
        bound = written_bound(check.expr)
        if metric.path.partition(".")[0] == kind and bound:
            yield bound, check.expr


def _rule(bound: float, y: Spec) -> Spec:
    mark = {"type": "rule", "color": chart.RED, "strokeDash": [6, 4], "strokeWidth": 1.5}
    scale = {key: value for key, value in y.items() if key in {"scale", "type"}}
    return {"mark": mark, "encoding": {"y": {**scale, "datum": bound}}}


def _latency_title(stages: WhyStages, field: str) -> str:
    last = stages.stages[-1].stage
    if last.validity.status is Validity.INVALID:
        return _queue_title(stages, last)
    p95 = getattr(last, field).p95
    if p95 is None:
        return f"{stages.place_of(last)}, the p95 has no finite value"
    return f"{stages.place_of(last)}, 95 % completed within {number_format.ms(p95)} ms"


def queue(stages: WhyStages) -> Chart | None:
    """Return achieved rate against target, p95 and requests under way over the rate; None for one rate."""
    if not stages.has_several_levels:
        return None
    rows = [_queue_row(measured.stage) for measured in stages.stages]
    fields = [field for field in _QUEUE if _has(rows, field)]
    panels = [
        {**_panel(stages, rows, field), "height": height}
        for field, height in zip(fields, _HEIGHTS, strict=False)
    ]
    for upper in panels[:-1]:
        untitle_levels(upper)
    spec: Spec = {
        "data": chart.values(rows),
        "vconcat": panels,
        "spacing": 12,
        "resolve": {"scale": {"x": "shared"}},
    }
    dashed = "; dashed: the target" if _has(rows, "target") else ""
    title = (
        stages.statement() if stages.limit is not Limit.UNDETERMINED else _queue_title(stages, stages.limited)
    )
    names = number_format.listed([_QUEUE[field].name for field in fields])
    return Chart("why", title, f"{names[:1].upper()}{names[1:]} against the rate{dashed}", spec)


def _queue_row(stage: Stage) -> Row:
    under_way = [second.in_flight for second in stage.timeseries if second.t_s > 0]
    times = stage.duration_ms if stage.users is not None else stage.response_time_ms
    return {
        "level": level_of(stage),
        "actual": stage.actual_rps,
        "target": stage.target_rps,
        "p95": times.p95,
        "under_way": sum(under_way) / len(under_way) if any(under_way) else None,
    }


def _has(rows: Sequence[Row], field: str) -> bool:
    return any(row[field] is not None for row in rows)


def _panel(stages: WhyStages, rows: Sequence[Row], field: str) -> Spec:
    _, title, colour = _QUEUE[field]
    line: Spec = {
        "mark": {"type": "line", "point": {"size": 45, "color": colour}, "color": colour},
        "encoding": {
            "x": stages.level_axis,
            "y": chart.quantitative(field, title),
            "tooltip": chart.tooltip("level", "actual", "target", "p95", "under_way"),
        },
    }
    target: Spec = {
        "mark": {"type": "line", "strokeDash": [6, 4], "color": chart.RED, "strokeWidth": 1.5},
        "encoding": {"x": stages.level_axis, "y": {"field": "target", "type": "quantitative"}},
    }
    is_rate = field == "actual" and _has(rows, "target")
    return {"width": chart.WIDTH, "layer": [*([target] if is_rate else []), line]}


def _queue_title(stages: WhyStages, stage: Stage) -> str:
    """Return what a stage that has no known limit achieved; of an invalid one, that this says nothing."""
    place, actual = stages.place_of(stage), number_format.rate(stage.actual_rps)
    if stage.validity.status is Validity.INVALID:
        return f"{place}, the stage is invalid: its {actual} RPS do not show what the service achieves"
    if stage.achieved is None:
        return f"{place}, {actual} responses per second"
    return f"{place}, the service achieved {achieved(stage)}"
