"""The run as it went by: rate and latency a second, stage after stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runner.report import number_format
from runner.report.charts.chart import BLUE, GREY, ORANGE, RED, WIDTH, Chart, Spec, logarithmic, zoomed
from runner.report.charts.stages import among_several, label, measured, place

Results = Mapping[str, Any]
Stage = Mapping[str, Any]

_PAUSE_S: Final = 2.0
_CHARACTER: Final = 6.0
"""Pixels, of the names above the stages."""


def over_time(results: Results) -> Chart | None:
    """Rate, latency and busy cores above each other, with a band for each stage and its warm-up shaded."""
    stages = [pair for pair in measured(results) if pair[1]["timeseries"]]
    stages.sort(key=lambda pair: int(pair[1]["order"]))
    several = among_several(stages)
    points: list[dict[str, Any]] = []
    bands: list[dict[str, Any]] = []
    begins = 0.0
    for name, stage in stages:
        series = stage["timeseries"]
        origin = begins + stage["warmup_s"]
        ends = origin + max(stage["window_s"], series[-1]["t_s"])
        title = place(name, stage, several=several)
        bands.append({"from": begins, "origin": origin, "to": ends, "stage": title, "short": label(stage)})
        points += [_point(each, origin, title, stage) for each in series]
        begins = ends + _PAUSE_S
    if not points:
        return None
    end = begins - _PAUSE_S
    panels = [
        _panel(points, bands, end, "rps", "Answered a second", BLUE, height=150, target=True),
        _panel(points, bands, end, "p95", "p95 (ms)", ORANGE, height=110, log=True),
        _panel(points, bands, end, "system", "Busy cores", GREY, height=70, last=True),
    ]
    spec: Spec = {
        "vconcat": [_names(bands, end), *panels],
        "resolve": {"scale": {"x": "shared"}},
        "spacing": 8,
    }
    said = "Second by second, stage after stage; warm-ups are darker, the line above is what was offered"
    return Chart("over-time", _title(points), said, spec)


def _point(each: Mapping[str, Any], origin: float, title: str, stage: Stage) -> dict[str, Any]:
    return {
        "s": round(origin + each["t_s"], 3),
        "t": each["t_s"],
        "stage": title,
        "rps": each["rps"],
        "target": stage["target_rps"],
        "p95": each["p95_ms"] or None,
        "system": each.get("cpu_system"),
        "errors": each.get("errors"),
    }


def _x(field: str, end: float) -> Spec:
    return {
        "field": field,
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, end], "nice": False},
    }


def _names(bands: Sequence[Mapping[str, Any]], end: float) -> Spec:
    """The stages' names above their bands, where there is room for one."""
    return {
        "name": "names",
        "width": WIDTH,
        "height": 14,
        "data": {"values": list(_named(bands, end))},
        "mark": {"type": "text", "baseline": "middle"},
        "encoding": {"x": {**_x("middle", end), "axis": None}, "text": {"field": "name"}},
    }


def _named(bands: Sequence[Mapping[str, Any]], end: float) -> Iterator[dict[str, Any]]:
    for band in bands:
        room = (band["to"] - band["from"]) / end * WIDTH
        fitting = (name for name in (band["stage"], band["short"]) if len(name) * _CHARACTER <= room)
        if name := next(fitting, ""):
            yield {"middle": (band["from"] + band["to"]) / 2, "name": name}


def _panel(
    points: list[dict[str, Any]],
    bands: list[dict[str, Any]],
    end: float,
    field: str,
    title: str,
    colour: str,
    *,
    height: int,
    target: bool = False,
    log: bool = False,
    last: bool = False,
) -> Spec:
    below: Spec = {"title": "Seconds of load, pauses shortened"} if last else {}
    x = {**_x("s", end), **below, "axis": {"grid": False, "labels": last, "ticks": last}}
    tooltip = [{"field": each} for each in ("stage", "t", "rps", "target", "p95", "system", "errors")]
    direction = logarithmic(point[field] for point in points) if log else {}
    line = {
        "params": [zoomed(f"zoom_{field}")],
        "mark": {"type": "line", "color": colour, "point": {"size": 14, "color": colour}},
        "encoding": {
            "x": x,
            "y": {"field": field, "type": "quantitative", "title": title, **direction},
            "detail": {"field": "stage"},
            "tooltip": tooltip,
        },
    }
    step = {
        "mark": {"type": "line", "color": RED, "strokeWidth": 1.5, "interpolate": "step"},
        "encoding": {
            "x": x,
            "y": {"field": "target", "type": "quantitative"},
            "detail": {"field": "stage"},
        },
    }
    shades = [_shade(bands, "from", "to", 0.09), _shade(bands, "from", "origin", 0.22)]
    return {
        "width": WIDTH,
        "height": height,
        "data": {"values": points},
        "layer": [*shades, *([step] if target else []), line],
    }


def _shade(bands: list[dict[str, Any]], begins: str, ends: str, opacity: float) -> Spec:
    return {
        "data": {"values": [band for band in bands if band[ends] > band[begins]]},
        "mark": {"type": "rect", "opacity": opacity, "color": GREY},
        "encoding": {
            "x": {"field": begins, "type": "quantitative"},
            "x2": {"field": ends},
            "tooltip": [{"field": "stage"}],
        },
    }


def _title(points: list[dict[str, Any]]) -> str:
    slow = [point for point in points if point["p95"] and point["t"] > 0]
    if not slow:
        return "Answers second by second"
    worst = max(slow, key=lambda point: float(point["p95"]))
    return (
        f"The slowest second was {worst['t']:g} s into {worst['stage']}: "
        f"p95 {number_format.ms(worst['p95'])} ms at {number_format.rate(worst['rps'])} answers a second"
    )
