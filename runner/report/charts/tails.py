"""How slow the slowest are, and how far a rate can go: the distribution and the capacity curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runner.report import number_format
from runner.report.charts.chart import (
    FADING,
    HEIGHT,
    SERIES,
    WIDTH,
    Chart,
    Spec,
    colours,
    logarithmic,
    picked,
    values,
    zoomed,
)
from runner.report.charts.stages import among_several, label, measured, place
from runner.report.prose import title

Results = Mapping[str, Any]

_TICKS: Final = {
    1: "0 %",
    2: "50 %",
    10: "90 %",
    100: "99 %",
    1000: "99.9 %",
    10000: "99.99 %",
    100000: "99.999 %",
}
_MOST: Final = 10
_SHARES: Final = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}


def distribution(results: Results) -> Chart | None:
    """Response time by percentile, the axis stretched towards the slowest (as HdrHistogram plots it)."""
    found = [(name, stage) for name, stage in measured(results) if _points(stage)]
    slowest = sorted(found, key=lambda pair: -float(pair[1]["response_time_ms"].get("p99") or 0))[:_MOST]
    several = among_several(found)
    rows: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for name, stage in (pair for pair in found if pair in slowest):
        series = f"{name}, {label(stage)}" if several else label(stage)
        points = _points(stage)
        names[series] = SERIES[len(names) % len(SERIES)]
        rows += [
            {"series": series, "percentile": share, "odds": 1 / (1 - share / 100), "ms": ms}
            for share, ms in points
            if share < 100 and ms
        ]
    if not rows:
        return None
    labels = " : ".join(f"datum.value == {odds} ? '{text}'" for odds, text in _TICKS.items())
    spec: Spec = {
        "data": values(rows),
        "width": WIDTH,
        "height": HEIGHT + 40,
        "params": [picked(), zoomed("zoom", "x", "y")],
        "mark": {"type": "line", "point": {"size": 18}},
        "encoding": {
            "opacity": FADING,
            "x": {
                "field": "odds",
                "type": "quantitative",
                "title": "Percentile",
                "scale": {"type": "log", "nice": False},
                "axis": {"values": list(_TICKS), "labelExpr": f"{labels} : ''"},
            },
            "y": {
                "field": "ms",
                "type": "quantitative",
                "title": "Response time (ms)",
                **logarithmic(row["ms"] for row in rows),
            },
            "color": colours(names),
            "tooltip": [{"field": each} for each in ("series", "percentile", "ms")],
        },
    }
    return Chart(
        "distribution",
        _distribution_title(found),
        "Response time by percentile, both axes logarithmic"
        + (f"; the slowest {_MOST} of {len(found)} stages" if len(found) > _MOST else ""),
        spec,
    )


def _points(stage: Mapping[str, Any]) -> list[tuple[float, float]]:
    return stage.get("distribution") or _few(stage)


def _few(stage: Mapping[str, Any]) -> list[tuple[float, float]]:
    found = stage["response_time_ms"]
    return [(share, found[key]) for key, share in _SHARES.items() if found.get(key)]


def _distribution_title(stages: list[tuple[str, Mapping[str, Any]]]) -> str:
    name, stage = max(stages, key=lambda pair: float(pair[1]["response_time_ms"].get("p99") or 0))
    found = stage["response_time_ms"]
    if not found.get("p99"):
        return "Response time by percentile"
    return (
        f"At {place(name, stage, several=among_several(stages))} half waited less than "
        f"{number_format.ms(found['p50'])} ms, 1 in 100 more than {number_format.ms(found['p99'])} ms"
    )


def capacity(results: Results) -> Chart | None:
    """Every rate that a search has tried against its p95."""
    rows = [
        {
            "series": title(each),
            "search": f"{search['stage']} {search['repeat']}",
            "rps": probe["rps"],
            "ms": probe["p95_ms"],
            "holds": "holds" if probe["ok"] else "does not hold",
            "why": probe["why"],
        }
        for each in results["configurations"]
        for search in each.get("capacity", ())
        for probe in search["probes"]
        if probe["p95_ms"]
    ]
    if not rows:
        return None
    names = {
        name: SERIES[at % len(SERIES)] for at, name in enumerate(dict.fromkeys(row["series"] for row in rows))
    }
    x: Spec = {"field": "rps", "type": "quantitative", "title": "Offered requests a second"}
    x |= {"scale": {"zero": False, "padding": 12}}
    y: Spec = {"field": "ms", "type": "quantitative", "title": "p95 (ms)"}
    y |= logarithmic(row["ms"] for row in rows)
    tooltip = [{"field": each} for each in ("series", "rps", "ms", "holds", "why")]
    params = [picked(), zoomed("zoom", "x", "y")]
    encoding = {"x": x, "y": y, "color": colours(names), "opacity": FADING, "detail": {"field": "search"}}
    line = {"params": params, "mark": {"type": "line"}, "encoding": encoding}
    dots = {
        "mark": {"type": "point", "filled": True, "size": 80},
        "encoding": {
            **encoding,
            "shape": {
                "field": "holds",
                "type": "nominal",
                "scale": {"domain": ["holds", "does not hold"], "range": ["circle", "triangle-down"]},
                "legend": {"title": None},
            },
            "tooltip": tooltip,
        },
    }
    spec: Spec = {"data": values(rows), "width": WIDTH, "height": HEIGHT, "layer": [line, dots]}
    return Chart(
        "capacity", _capacity_title(results), "p95 at each rate that was tried; triangles did not hold", spec
    )


def _capacity_title(results: Results) -> str:
    """What each configuration holds; of repeats all answers."""
    held: dict[str, list[str]] = {}
    for each in results["configurations"]:
        for search in each.get("capacity", ()):
            if search["rps"]:
                held.setdefault(title(each), []).append(number_format.rate(search["rps"]))
    one = len(results["configurations"]) == 1
    said = [
        f"{'The service' if one else name} holds {number_format.listed(rates)} RPS"
        for name, rates in held.items()
    ]
    return "; ".join(said[:4]) or "No rate held"
