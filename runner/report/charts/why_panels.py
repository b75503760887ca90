"""Pictures made of panels above each other: lines over the level, or bars where there is one level only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.ramp import Ramp
from runner.report.charts import chart
from runner.report.charts.chart import Row, Spec
from runner.report.charts.why_stages import WhyStages

_HEIGHTS: Final = {1: 260, 2: 140}
_LOW: Final = 100
"""Height of a panel of three or more."""
_BAR: Final = 26


@dataclass(frozen=True, slots=True)
class CausePanel:
    """One number over the level.

    Attributes:
        rows: Each with ``series``, ``level`` and ``value``.
        colours: Series to colour.
        bound: Where the dashed line of the limit is; None without one.
        main: The series that the verdict is about; drawn thicker than the others.
        bound_name: What the limit is, in words.
    """

    title: str
    rows: Sequence[Row]
    colours: dict[str, str]
    bound: float | None = None
    main: frozenset[str] = frozenset()
    bound_name: str = ""


def stacked_panels(stages: WhyStages, panels: Sequence[CausePanel], *, at_limit: Ramp | None = None) -> Spec:
    """Return the specification of panels that share the axis of levels; of a ramp, `at_limit` is shaded."""
    height = _HEIGHTS.get(len(panels), _LOW)
    several = stages.has_several_levels
    drawn = [_lines(stages, panel, height, at_limit) if several else _bars(panel) for panel in panels]
    for upper in drawn[:-1] if several else ():
        untitle_levels(upper)
    if len(drawn) == 1:
        return drawn[0]
    shared = {"scale": {"x": "shared"} if several else {"x": "independent"}}
    shared["scale"] |= {"color": "independent", "size": "independent"}
    shared["legend"] = {"color": "independent"}
    return {"vconcat": drawn, "spacing": 14, "resolve": shared}


def untitle_levels(panel: Spec) -> None:
    """Leave the title of the levels to the last of the panels, which share their axis."""
    for layer in panel["layer"]:
        if "x" in layer["encoding"]:
            layer["encoding"]["x"] |= {"title": None}


def _lines(stages: WhyStages, panel: CausePanel, height: int, at_limit: Ramp | None) -> Spec:
    values = [{**row, "main": row["series"] in panel.main} for row in panel.rows]
    shared: Spec = {
        "x": stages.level_axis,
        "y": chart.quantitative("value", panel.title),
        "color": chart.colour_scale(panel.colours),
    }
    line: Spec = {"mark": {"type": "line"}, "encoding": {**shared, "size": chart.MAIN_IS_THICKER}}
    point: Spec = {
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 40},
        "encoding": {**shared, "tooltip": chart.tooltip("series", "level", "value")},
    }
    layer = [*_shade(at_limit), line, point, *_rule(panel, "y")]
    return {**chart.size(height), "data": chart.values(values), "layer": layer}


def _bars(panel: CausePanel) -> Spec:
    y = {
        "field": "series",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "grid": False, "labelLimit": 280},
    }
    x = chart.quantitative("value", panel.title) | {"axis": {"tickCount": 8}}
    scale = {"domain": list(panel.colours), "range": list(panel.colours.values())}
    colour = {"field": "series", "type": "nominal", "scale": scale, "legend": None}
    bar: Spec = {
        "mark": {"type": "bar", "height": {"band": 0.6}},
        "encoding": {
            "y": y,
            "x": x,
            "color": colour,
            **chart.main_is_opaque(panel.main),
            "tooltip": chart.tooltip("series", "value"),
        },
    }
    figure = {"field": "value", "type": "quantitative", "format": ",.3~r"}
    text: Spec = {
        "mark": {"type": "text", "align": "left", "dx": 6},
        "encoding": {"y": y, "x": x, "text": figure},
    }
    size = {"width": chart.WIDTH, "height": {"step": _BAR}}
    return {**size, "data": chart.values(panel.rows), "layer": [bar, text, *_rule(panel, "x")]}


def _shade(levels: Ramp | None) -> list[Spec]:
    if levels is None:
        return []
    low, high = sorted((levels.begin, levels.to))
    mark = {"type": "rect", "color": chart.RED, "opacity": 0.1}
    encoding = {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    return [{"data": chart.values([{"low": low, "high": high}]), "mark": mark, "encoding": encoding}]


def _rule(panel: CausePanel, channel: str) -> list[Spec]:
    if panel.bound is None:
        return []
    mark = {"type": "rule", "strokeDash": [6, 4], "color": chart.RED, "strokeWidth": 1.5}
    return [{"data": chart.values([{}]), "mark": mark, "encoding": {channel: {"datum": panel.bound}}}]
