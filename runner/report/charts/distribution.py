"""How slow the slowest requests are: response time by percentile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import MeasuredStage, measured_stages, several_configurations

_TICKS: Final = {
    2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10000: "99.99 %", 100000: "99.999 %",
}  # fmt: skip
"""One in how many requests is slower, to the percentile."""
_MAX_STAGES: Final = 10
_MEDIAN: Final = 50.0
_PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def distribution(results: Results) -> Chart | None:
    """Return response time by percentile, the axis stretched towards the slowest as HdrHistogram plots it.

    None where no stage has a median, because most requests of each were lost.
    """
    stages = [measured for measured in measured_stages(results) if _is_drawn(measured.stage)]
    drawn = _slowest(stages)
    rows = _rows(drawn, several=several_configurations(stages))
    if not any(row["percentile"] == _MEDIAN for row in rows):
        return None
    labels = " : ".join(f"datum.value == {odds} ? '{text}'" for odds, text in _TICKS.items())
    axis = {"values": list(_TICKS), "labelExpr": f"{labels} : ''"}
    x = chart.quantitative("odds", "Percentile") | {"scale": {"type": "log", "nice": False}, "axis": axis}
    y = chart.quantitative("ms", "Response time (ms)")
    y |= chart.logarithmic(ms for measured in drawn for share, ms in _points(measured.stage) if share < 100)
    spec: Spec = {
        "data": chart.values(rows),
        "width": chart.WIDTH,
        "height": chart.HEIGHT + 40,
        "params": [chart.legend_filter(), chart.zoom("zoom", "x", "y")],
        "mark": {"type": "line", "point": {"size": 18}},
        "encoding": {
            "opacity": chart.FADING,
            "x": x,
            "y": y,
            "color": chart.colour_scale(chart.series_colours(str(row["series"]) for row in rows)),
            "tooltip": chart.tooltip("series", "percentile", "ms"),
        },
    }
    left_out = f"; the slowest {len(drawn)} of {len(stages)} stages" if len(drawn) < len(stages) else ""
    subtitle = f"Response time by percentile, both axes logarithmic{left_out}"
    return Chart("distribution", _title(stages), subtitle, spec)


def _is_drawn(stage: Stage) -> bool:
    """Return whether a stage has percentiles; those of a ramp would mix all its levels."""
    return stage.level_ramp is None and bool(_points(stage))


def _slowest(stages: Sequence[MeasuredStage]) -> list[MeasuredStage]:
    """Return the stages with the highest p99, in their own order."""
    by_p99 = sorted(range(len(stages)), key=lambda at: -_p99(stages[at]))
    return [stages[at] for at in sorted(by_p99[:_MAX_STAGES])]


def _p99(measured: MeasuredStage) -> float:
    latency = measured.stage.response_time_ms
    return math.inf if latency.why_unbounded("p99") else latency.p99 or 0.0


def _rows(stages: Sequence[MeasuredStage], *, several: bool) -> list[Row]:
    return [
        {
            "series": f"{measured.configuration}, {measured.label}" if several else measured.label,
            "percentile": share,
            "odds": 1 / (1 - share / 100),
            "ms": ms,
        }
        for measured in stages
        for share, ms in _points(measured.stage)
        if share < 100 and ms
    ]


def _points(stage: Stage) -> Sequence[tuple[float, float]]:
    """Return pairs of percentile and ms; results without a histogram have a few percentiles."""
    if stage.distribution:
        return stage.distribution
    latency = stage.response_time_ms
    return [(share, ms) for name, share in _PERCENTILES.items() if (ms := getattr(latency, name))]


def _title(stages: Sequence[MeasuredStage]) -> str:
    slowest = max(stages, key=_p99)
    latency = slowest.stage.response_time_ms
    where, median = slowest.place(several=several_configurations(stages)), number_format.ms(latency.p50)
    if latency.why_unbounded("p99") and latency.p50:
        return f"At {where}, half of the requests took less than {median} ms, more than 1 in 100 failed"
    if not latency.p99:
        return "Response time by percentile"
    return (
        f"At {where}, half of the requests took less than {median} ms, "
        f"1 in 100 more than {number_format.ms(latency.p99)} ms"
    )
