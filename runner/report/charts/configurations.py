"""Configurations side by side, each at its highest target rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.codes import Limit
from runner.core.results import Results
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import MeasuredStage, measured_stages

_BAR: Final[Spec] = {"type": "bar", "height": {"band": 0.55}}
_DOT: Final[Spec] = {"type": "point", "filled": True, "size": 90, "opacity": 1}


def side_by_side(results: Results) -> Chart | None:
    """Return throughput and latency of each configuration; None for a single one."""
    best = _at_highest_rate(measured_stages(results, medians=True))
    if len(best) < 2:
        return None
    rows: list[Row] = [
        {
            "configuration": measured.configuration,
            "stage": measured.label,
            "rps": measured.stage.actual_rps,
            "rps_text": number_format.rate(measured.stage.actual_rps),
            "p95": measured.stage.response_time_ms.p95,
            "p95_text": number_format.ms(measured.stage.response_time_ms.p95),
            "limit": measured.stage.verdict.code.value,
        }
        for measured in best
    ]
    p95_axis = chart.logarithmic(measured.stage.response_time_ms.p95 for measured in best)
    rate = chart.quantitative("rps", "Actual RPS") | {"axis": {"tickCount": 5}}
    colours, names = _limit_colours(best), [measured.configuration for measured in best]
    p95 = chart.quantitative("p95", "p95 response time (ms), logarithmic") | p95_axis
    subtitle = "Each configuration at its highest target rate, coloured by its verdict"
    if any(row["p95"] for row in rows):
        panels = [
            _panel(rate, _BAR, colours, names, named=True),
            _panel(p95, _DOT, colours, names, named=False),
        ]
        subtitle += "" if all(row["p95"] for row in rows) else "; without a dot: no finite p95"
        spec: Spec = {"data": chart.values(rows), "hconcat": panels}
    else:
        only = _panel(rate, _BAR, colours, names, named=True)
        spec = {"data": chart.values(rows), **only, "width": chart.WIDTH}
        subtitle += "; none has a p95 response time"
    return Chart("configurations", _title(best), subtitle, spec)


def _at_highest_rate(stages: Sequence[MeasuredStage]) -> list[MeasuredStage]:
    """Return one stage of each configuration."""
    best: dict[str, MeasuredStage] = {}
    for measured in stages:
        known = best.setdefault(measured.configuration, measured)
        if measured.stage.rate > known.stage.rate:
            best[measured.configuration] = measured
    return list(best.values())


def _limit_colours(best: Sequence[MeasuredStage]) -> dict[str, str]:
    """Return a colour for each verdict; no limit is green, and an unknown one grey."""
    found = dict.fromkeys(measured.stage.verdict.code.value for measured in best)
    known = {Limit.WITHIN_CAPACITY.value: chart.GREEN, Limit.UNDETERMINED.value: chart.GREY}
    others = [name for name in found if name not in known]
    free = [colour for colour in chart.SERIES if colour not in known.values()]
    limits = {name: free[at % len(free)] for at, name in enumerate(others)}
    return {name: (known | limits)[name] for name in found}


def _panel(x: Spec, mark: Spec, colours: dict[str, str], names: Sequence[str], *, named: bool) -> Spec:
    """Return one number of every configuration, written beside its mark.

    All of them have a row, so that those of panels beside each other are the same although some are empty.
    """
    y: Spec = {"field": "configuration", "type": "nominal", "scale": {"domain": names}}
    y |= {"axis": {"title": None, "labelLimit": 280, "grid": not named}} if named else {"axis": None}
    encoding = {"text": {"field": f"{x['field']}_text"}}
    text = {"mark": {"type": "text", "align": "left", "dx": 8}, "encoding": encoding}
    colour = chart.colour_scale(colours) | {"field": "limit"}
    tooltip = chart.tooltip("configuration", "stage", "rps", "p95", "limit")
    return {
        "width": chart.WIDTH // 2 - 80,
        "height": {"step": 28},
        "encoding": {"y": y, "x": x, "tooltip": tooltip},
        "layer": [{"mark": mark, "encoding": {"color": colour}}, text],
    }


def _title(best: Sequence[MeasuredStage]) -> str:
    rates = [measured.stage.actual_rps or 0.0 for measured in best]
    fastest, slowest = best[rates.index(max(rates))], best[rates.index(min(rates))]
    high, low = number_format.rate(max(rates)), number_format.rate(min(rates))
    if high == low:
        return f"All configurations achieved {high} RPS"
    return f"{fastest.configuration} achieved {high} RPS, {slowest.configuration} {low} RPS"
