"""Configurations side by side, each at its highest target rate, or at the one that a search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from runner.core.codes import Limit
from runner.core.results import Results
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import MeasuredStage, measured_stages
from runner.report.metric_text import level_unit
from runner.report.prose import title
from runner.report.stage_choice import sustained

_BAR: Final[Spec] = {"type": "bar", "height": {"band": 0.55}}
_TARGET: Final[Spec] = {"type": "tick", "color": chart.RED, "thickness": 3, "size": 20, "opacity": 1}
_DOT: Final[Spec] = {"type": "point", "filled": True, "size": 90, "opacity": 1}


class _Best(NamedTuple):
    """What is drawn of a configuration: its rate, and what limits it there, or above it after a search."""

    measured: MeasuredStage
    rate: float | None
    limit: str


def side_by_side(results: Results) -> Chart | None:
    """Return throughput and latency of each configuration; None for a single one."""
    measured = measured_stages(results, medians=True)
    found = _found(results, measured)
    best = found or _at_highest_rate(measured)
    if len(best) < 2:
        return None
    rows = [_row(one, with_target=not found) for one in best]
    p95_axis = chart.logarithmic(one.measured.stage.response_time_ms.p95 for one in best)
    heading = f"Sustained {level_unit(best[0].measured.stage)}" if found else "Actual RPS"
    rate = chart.quantitative("rate", heading) | {"axis": {"tickCount": 5}}
    colours, names = _limit_colours(best), [one.measured.configuration for one in best]
    p95 = chart.quantitative("p95", "p95 response time (ms), logarithmic") | p95_axis
    subtitle = _subtitle(rows, is_found=bool(found))
    if any(row["p95"] for row in rows):
        panels = [
            _panel(rate, [_BAR, *_target(rows)], colours, names, named=True),
            _panel(p95, [_DOT], colours, names, named=False),
        ]
        subtitle += "" if all(row["p95"] for row in rows) else "; without a dot: no finite p95"
        spec: Spec = {"data": chart.values(rows), "hconcat": panels}
    else:
        only = _panel(rate, [_BAR, *_target(rows)], colours, names, named=True)
        spec = {"data": chart.values(rows), **only, "width": chart.WIDTH}
        subtitle += "; none has a p95 response time"
    is_all = len(measured) == len(best)
    covers = frozenset({"throughput"} if is_all and not found else ())
    return Chart("configurations", _title(best, "sustains" if found else "achieved"), subtitle, spec, covers)


def _subtitle(rows: Sequence[Row], *, is_found: bool) -> str:
    if is_found:
        return "The highest rate that each configuration sustains, coloured by what limits it above that rate"
    targets = "; red lines: target RPS" if _target(rows) else ""
    return f"Each configuration at its highest target rate, coloured by its verdict{targets}"


def _row(one: _Best, *, with_target: bool) -> Row:
    stage = one.measured.stage
    return {
        "configuration": one.measured.configuration,
        "stage": one.measured.label,
        "rate": one.rate,
        "rate_text": number_format.rate(one.rate),
        "target": stage.target_rps if with_target else None,
        "p95": stage.response_time_ms.p95,
        "p95_text": number_format.ms(stage.response_time_ms.p95),
        "limit": one.limit,
    }


def _found(results: Results, stages: Sequence[MeasuredStage]) -> list[_Best]:
    """Return the rate that the search of each configuration found; empty unless each found one."""
    limits = {title(one): one.capacity[-1].limited_by for one in results.configurations if one.capacity}
    by_name: dict[str, _Best] = {}
    for measured in stages:
        stage = measured.stage
        if stage.find and sustained([stage]) and measured.configuration in limits:
            limit = limits[measured.configuration] or Limit.UNDETERMINED
            known = by_name.get(measured.configuration)
            if known is None or stage.rate > (known.rate or 0.0):
                by_name[measured.configuration] = _Best(measured, stage.rate, limit.value)
    every = len(by_name) == len(results.configurations)
    return list(by_name.values()) if every else []


def _at_highest_rate(stages: Sequence[MeasuredStage]) -> list[_Best]:
    """Return one stage of each configuration."""
    best: dict[str, MeasuredStage] = {}
    for measured in stages:
        known = best.setdefault(measured.configuration, measured)
        if measured.stage.rate > known.stage.rate:
            best[measured.configuration] = measured
    return [_Best(one, one.stage.actual_rps, one.stage.verdict.code.value) for one in best.values()]


def _target(rows: Sequence[Row]) -> list[Spec]:
    return [_TARGET] if any(row["target"] for row in rows) else []


def _limit_colours(best: Sequence[_Best]) -> dict[str, str]:
    """Return a colour for each verdict; no limit is green, and an unknown one grey."""
    found = dict.fromkeys(one.limit for one in best)
    known = {Limit.WITHIN_CAPACITY.value: chart.GREEN, Limit.UNDETERMINED.value: chart.GREY}
    others = [name for name in found if name not in known]
    free = [colour for colour in chart.SERIES if colour not in known.values()]
    limits = {name: free[at % len(free)] for at, name in enumerate(others)}
    return {name: (known | limits)[name] for name in found}


def _panel(
    x: Spec, marks: Sequence[Spec], colours: dict[str, str], names: Sequence[str], *, named: bool
) -> Spec:
    """Return one number of every configuration, written beside its mark; a second mark shows the target.

    All of them have a row, so that those of panels beside each other are the same although some are empty.
    """
    y: Spec = {"field": "configuration", "type": "nominal", "scale": {"domain": names}}
    y |= {"axis": {"title": None, "labelLimit": 280, "grid": not named}} if named else {"axis": None}
    text = {
        "mark": {"type": "text", "align": "left", "dx": 8},
        "encoding": {"text": {"field": f"{x['field']}_text"}},
    }
    colour = chart.colour_scale(colours) | {"field": "limit"}
    tooltip = chart.tooltip("configuration", "stage", "rate", "target", "p95", "limit")
    main, *targets = marks
    lines = [{"mark": mark, "encoding": {"x": {**x, "field": "target"}}} for mark in targets]
    return {
        "width": chart.WIDTH // 2 - 80,
        "height": {"step": 28},
        "encoding": {"y": y, "x": x, "tooltip": tooltip},
        "layer": [{"mark": main, "encoding": {"color": colour}}, *lines, text],
    }


def _title(best: Sequence[_Best], verb: str) -> str:
    rates = [one.rate or 0.0 for one in best]
    fastest, slowest = (best[rates.index(rate)].measured for rate in (max(rates), min(rates)))
    unit = level_unit(fastest.stage) if verb == "sustains" else "RPS"
    high, low = number_format.rate(max(rates)), number_format.rate(min(rates))
    if high == low:
        return f"All configurations {verb.removesuffix('s')} {high} {unit}"
    return f"{fastest.configuration} {verb} {high} {unit}, {slowest.configuration} {low} {unit}"
