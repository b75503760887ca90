"""Latency over the level of each ramp, with the bounds of its thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import UNSET

from runner.core.judgements import ThresholdResult
from runner.core.measured import Latency, Part, Slice
from runner.core.metrics import lost_share, metric_of
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import MeasuredStage, measured_stages, several_configurations
from runner.report.metric_text import level, level_unit
from runner.report.ramps import exceeded

_PERCENTILES: Final = {"p50": chart.GREEN, "p95": chart.BLUE, "p99": chart.ORANGE}
_MAX_RAMPS: Final = 6
_AXIS: Final = {"RPS": "requests per second", "users": "users", "users/s": "users per second"}
_KINDS: Final = {
    "duration": "duration",
    "response_time": "response time",
    "scenario_duration": "scenario duration",
}


class _Quantity(NamedTuple):
    """The latency that is drawn.

    Attributes:
        kind: A key of `_KINDS`.
        part: The request, scenario or step that it is of; empty for the whole stage.
    """

    kind: str
    part: str = ""

    @property
    def name(self) -> str:
        """In words, with what it is of."""
        return f"{_KINDS[self.kind]} of {self.part}" if self.part else _KINDS[self.kind]

    def slices(self, stage: Stage) -> Sequence[Slice]:
        """Return what was measured of it in each slice of a ramp."""
        own: Part | Stage = stage.parts.get(self.part, stage)
        return own.slices

    def of(self, part: Slice) -> Latency:
        """Return its percentiles in a slice."""
        latency: Latency = getattr(part, f"{self.kind}_ms")
        return latency

    def is_of(self, result: ThresholdResult) -> bool:
        """Return whether a threshold is about one of its percentiles that are drawn."""
        return _latency_of(result) == self


def _latency_of(result: ThresholdResult) -> _Quantity | None:
    """Return what a threshold on a percentile that can be drawn is about; None for others."""
    metric = metric_of(result.expr)
    kind, _, percentile = metric.path.partition(".") if metric else ("", "", "")
    return _Quantity(kind, result.request or "") if kind in _KINDS and percentile in _PERCENTILES else None


def _quantity(stages: Sequence[MeasuredStage]) -> _Quantity:
    """Return the latency of the first threshold that a ramp passed, else the one that reports show first."""
    results = [result for measured in stages for result in measured.stage.thresholds]
    exceeded_first = sorted(results, key=lambda result: result.level is UNSET)
    known = (quantity for result in exceeded_first if (quantity := _latency_of(result)))
    scenarios = all(measured.stage.scenarios for measured in stages)
    drawn = next(known, _Quantity("scenario_duration" if scenarios else "duration"))
    if any(drawn.of(part).p50 for one in stages for part in drawn.slices(one.stage)):
        return drawn
    return _Quantity("duration")


def ramps(results: Results) -> Chart | None:
    """Return p50, p95 and p99 of each slice of each ramp over its rate or number of users."""
    stages = [measured for measured in measured_stages(results, medians=True) if measured.stage.slices][
        :_MAX_RAMPS
    ]
    several = several_configurations(stages)
    drawn = _quantity(stages)
    rows = [row for measured in stages for row in _rows(measured, drawn, several=several)]
    if not any(row["ms"] for row in rows):
        return None
    units = dict.fromkeys(_AXIS[level_unit(measured.stage)] for measured in stages)
    x_title = ", or ".join(units).capitalize()
    x = chart.quantitative("level", x_title) | {"scale": {"zero": False}}
    name = f"{drawn.name[:1].upper()}{drawn.name[1:]}"
    y = chart.quantitative("ms", f"{name} (ms)") | chart.logarithmic(_number(row["ms"]) for row in rows)
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
    is_bounded = any(row["kind"] == "bound" for row in rows)
    spec = {"layer": [lines, bounds] if is_bounded else [lines]}
    dashed = "; dashed: bounds of thresholds" if is_bounded else ""
    subtitle = f"{name} of each slice in ms, logarithmic{dashed}"
    title = _title(stages, drawn, several=several)
    return Chart("ramps", title, subtitle, _arranged(rows, spec, len(stages)))


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


def _rows(measured: MeasuredStage, drawn: _Quantity, *, several: bool) -> Iterator[Row]:
    stage = measured.stage
    name = f"{measured.configuration}, {measured.label}" if several else measured.label
    for part in drawn.slices(stage):
        for series in _PERCENTILES:
            ms = getattr(drawn.of(part), series) or None
            yield {
                "ramp": name, "kind": "slice", "level": part.level.mean, "series": series, "ms": ms,
                "failed": number_format.share(lost_share(part)),
            }  # fmt: skip
    for result in stage.thresholds:
        if drawn.is_of(result) and result.bound:
            yield {"ramp": name, "kind": "bound", "series": result.expr, "ms": result.bound}


def _number(value: str | float | None) -> float | None:
    return value if isinstance(value, int | float) else None


def _title(stages: Sequence[MeasuredStage], drawn: _Quantity, *, several: bool) -> str:
    """Name the first threshold on what is drawn that a ramp passed; without any, the last level's p95."""
    for measured in stages:
        for result in measured.stage.thresholds:
            if result.level is not UNSET and drawn.is_of(result):
                where = f" of {measured.place(several=several)}" if len(stages) > 1 else ""
                return f"{exceeded(result, measured.stage)}{where}"
    stage = stages[0].stage
    slices = drawn.slices(stage)
    known = [part for part in slices if drawn.of(part).p95 is not None]
    if not known:
        return f"No slice has a finite p95 {drawn.name}"
    last = known[-1]
    p95 = number_format.ms(drawn.of(last).p95)
    beyond = "" if last is slices[-1] else ", with no finite value at the last level"
    return f"At {level(stage, last.level.mean)}, the p95 {drawn.name} was {p95} ms{beyond}"
