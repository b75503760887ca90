"""The requests of a mix side by side: how slow each of them is at each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.metrics import METRICS
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import (
    CHARACTER_WIDTH,
    MeasuredStage,
    measured_stages,
    several_configurations,
)
from runner.report.request_tables import parts

_MAX_REQUESTS: Final = 30
_MAX_STAGES: Final = len(chart.SERIES)
_MAX_NAME: Final = 320
"""Pixels for the names of requests."""
_MAX_NAMED: Final = 3
"""Requests without a finite value that the subtitle names."""
_DOT: Final[Spec] = {"type": "point", "filled": True, "size": 70, "opacity": 0.9}


@dataclass(frozen=True, slots=True)
class _Point:
    """One request at one stage."""

    place: MeasuredStage
    request: str
    p95_ms: float


def requests(results: Results) -> Chart | None:
    """Return the p95 response time of each request, the slowest first; None without several."""
    stages = [
        measured
        for measured in measured_stages(results, medians=True)
        if len(measured.stage.parts) > 1 and not measured.stage.slices
    ]
    drawn = _highest_rates(stages)
    points = [point for measured in drawn for point in _points(measured)]
    if not points:
        return None
    names = _slowest_first(points)
    shown = names[:_MAX_REQUESTS]
    several = several_configurations(measured_stages(results, medians=True))
    rows = [_row(point, several=several) for point in points if point.request in shown]
    colours = chart.series_colours(str(row["series"]) for row in rows)
    spec: Spec = {
        "data": chart.values(rows),
        "width": chart.WIDTH - _width_of_names(shown),
        "height": {"step": 20},
        "params": [chart.legend_filter()],
        "mark": _DOT,
        "encoding": {
            "opacity": chart.FADING,
            "x": chart.quantitative("ms", "p95 response time (ms), logarithmic")
            | chart.logarithmic(point.p95_ms for point in points),
            "y": _names(shown),
            "color": chart.colour_scale(colours),
            "tooltip": chart.tooltip("request", "series", "ms"),
        },
    }
    return Chart("requests", _title(points, several=several), _subtitle(names, stages, drawn), spec)


def _highest_rates(stages: Sequence[MeasuredStage]) -> list[MeasuredStage]:
    """Return the stages with the highest rates, in their own order; there is a colour for each."""
    by_rate = sorted(range(len(stages)), key=lambda at: -stages[at].stage.rate)
    return [stages[at] for at in sorted(by_rate[:_MAX_STAGES])]


def _points(measured: MeasuredStage) -> list[_Point]:
    return [
        _Point(measured, name, p95) for name, part in parts(measured.stage) if (p95 := _p95(part)) is not None
    ]


def _p95(part: Stage) -> float | None:
    return part.response_time_ms.p95 or None


def _slowest_first(points: Sequence[_Point]) -> list[str]:
    """Return the names of the requests by their highest p95."""
    highest: dict[str, float] = {}
    for point in points:
        highest[point.request] = max(point.p95_ms, highest.get(point.request, 0.0))
    return sorted(highest, key=lambda name: -highest[name])


def _row(point: _Point, *, several: bool) -> Row:
    place = point.place
    series = f"{place.configuration}, {place.label}" if several else place.label
    return {"request": point.request, "series": series, "ms": point.p95_ms}


def _names(shown: Sequence[str]) -> Spec:
    axis = {"title": None, "labelLimit": _MAX_NAME, "grid": True}
    return {"field": "request", "type": "nominal", "sort": list(shown), "axis": axis}


def _width_of_names(shown: Sequence[str]) -> int:
    return min(_MAX_NAME, round(max(map(len, shown)) * CHARACTER_WIDTH))


def _title(points: Sequence[_Point], *, several: bool) -> str:
    """Name the slowest request, and the fastest one of the same stage."""
    slowest = max(points, key=lambda point: point.p95_ms)
    fastest = min((point for point in points if point.place is slowest.place), key=lambda point: point.p95_ms)
    where = slowest.place.place(several=several)
    high, low = number_format.ms(slowest.p95_ms), number_format.ms(fastest.p95_ms)
    if fastest is slowest:
        return f"At {where}, the p95 response time of {slowest.request} is {high} ms"
    return (
        f"At {where}, the p95 response time of {slowest.request} is {high} ms, of {fastest.request} {low} ms"
    )


def _subtitle(names: Sequence[str], stages: Sequence[MeasuredStage], drawn: Sequence[MeasuredStage]) -> str:
    left_out = []
    if len(names) > _MAX_REQUESTS:
        left_out.append(f"the slowest {_MAX_REQUESTS} of {len(names)} requests")
    if len(drawn) < len(stages):
        left_out.append(f"the {len(drawn)} highest of {len(stages)} rates")
    lossy = dict.fromkeys(name for measured in drawn for name in _unbounded(measured.stage))
    if lossy:
        more = [f"{len(lossy) - _MAX_NAMED} more"] if len(lossy) > _MAX_NAMED else []
        named = number_format.listed([*list(lossy)[:_MAX_NAMED], *more])
        left_out.append(f"without a finite value at some rates: {named}")
    return "; ".join(["p95 response time by request", *left_out])


def _unbounded(stage: Stage) -> list[str]:
    return [name for name, part in parts(stage) if METRICS["response_time.p95"].unbounded(part)]
