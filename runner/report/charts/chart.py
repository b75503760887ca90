"""What a chart is, and what all charts look like.

Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart
("Color Universal Design", 2008); each has enough contrast on white and on near-black.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Final, TypeAlias

from runner.report.exact_numbers import exact
from runner.report.markdown_text import visible

Spec: TypeAlias = dict[str, Any]
"""A part of a Vega-Lite specification: JSON in the shape that Vega-Lite defines."""
Row: TypeAlias = Mapping[str, str | float | None]
"""One datum of a chart."""

BLUE: Final = "#0072B2"
ORANGE: Final = "#D98E04"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
PINK: Final = "#CC79A7"
SKY: Final = "#3E9FD6"
GREY: Final = "#8A8F98"
INK: Final = "#7A5195"
"""Of a total beside its parts."""
SERIES: Final = (BLUE, ORANGE, GREEN, RED, PINK, SKY, GREY, "#7A5195", "#A6761D", "#4D4D4D")
LIGHT: Final = ("#1c2330", "#566070", "#e3e6eb", "#fffffe")
DARK: Final = ("#e8eaed", "#a9b0ba", "#363b44", "#16191f")
"""Text, secondary text, lines and background; no series has any of these colours."""
WIDTH: Final = 680
HEIGHT: Final = 260
VEGA_LITE: Final = "6.4"
SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"
_LETTER: Final = 6.6
_SYMBOL: Final = 40
"""Pixels of a legend's letter, and beside its text."""
_TITLE_WIDTH: Final = 88
"""Characters in a line of a title."""
_WHEEL: Final = "wheel![event.ctrlKey || event.metaKey || event.shiftKey]"
FADING: Final[Spec] = {"condition": {"param": "pick", "value": 1}, "value": 0.12}
"""Opacity of a series that the legend filters."""
MAIN_IS_THICKER: Final[Spec] = {
    "field": "main",
    "type": "ordinal",
    "scale": {"domain": [False, True], "range": [1.5, 4]},
    "legend": None,
}
"""The size of a line: thicker where ``main`` is true, which is the part that limits."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; its title is the statement that it supports, and `spec` has neither title nor theme.

    `covers` names charts that would only repeat numbers of this one.
    """

    name: str
    title: str
    subtitle: str
    spec: Spec
    covers: frozenset[str] = frozenset()

    @property
    def alt(self) -> str:
        """Text for readers who cannot see the chart, on one line."""
        return " ".join(f"{self.title}. {self.subtitle}.".split())


def themed(chart: Chart, *, dark: bool) -> Spec:
    """Return the complete Vega-Lite specification."""
    return {**titled(chart), "config": theme(dark=dark)}


def titled(chart: Chart) -> Spec:
    """Return the specification with its title, without a theme."""
    title = {"text": _wrap(chart.title), "subtitle": chart.subtitle, "anchor": "start", "frame": "group"}
    return _visible_spec({"$schema": SCHEMA, "title": {**title, "offset": 14}, **chart.spec})


def untitled(chart: Chart) -> Spec:
    """Return the specification alone, for a page that shows title and subtitle beside it."""
    return _visible_spec({"$schema": SCHEMA, **chart.spec})


def _visible_spec(spec: Spec) -> Spec:
    """Return a specification without characters that turn the direction of writing, and the like."""
    return {key: _visible_part(part) for key, part in spec.items()}


def _visible_part(part: object) -> object:
    if isinstance(part, dict):
        return _visible_spec(part)
    return [_visible_part(item) for item in part] if isinstance(part, list | tuple) else visible(part)


def theme(*, dark: bool) -> Spec:
    """Return colours and sizes of text, lines and background."""
    ink, soft, grid, ground = DARK if dark else LIGHT
    text = {"labelColor": soft, "titleColor": soft, "labelFontSize": 11, "titleFontSize": 11}
    lines = {"gridColor": grid, "domainColor": grid, "tickColor": grid, "titleFontWeight": "normal"}
    title = {"color": ink, "subtitleColor": soft, "fontSize": 15, "fontWeight": 600, "subtitleFontSize": 12}
    return {
        "aria": False,  # the element around the chart carries its description
        "mark": {"aria": False},
        "background": ground,
        "font": "Liberation Sans, Arial, sans-serif",  # bundled with the library: the same layout everywhere
        "view": {"stroke": None},
        "title": {**title, "subtitlePadding": 5},
        "axis": {**text, **lines, "labelOverlap": "greedy", "labelSeparation": 5},
        "legend": {**text, "labelLimit": 420, "symbolLimit": 60, "symbolBaseFillColor": soft},
        "header": {
            "labelLimit": 300,
            "labelColor": ink,
            "titleColor": soft,
            "labelFontSize": 12,
            "labelFontWeight": 600,
        },
        "rule": {"color": soft},
        "text": {"color": soft, "fontSize": 11},
        "line": {"strokeWidth": 2},
        "range": {"category": list(SERIES)},
    }


def main_is_opaque(main: Collection[str]) -> Spec:
    """Return the encoding by which bars of other series than the main ones are paler; empty without any."""
    if not main:
        return {}
    condition = {"test": {"field": "series", "oneOf": sorted(main)}, "value": 1}
    return {"opacity": {"condition": condition, "value": 0.45}}


def legend_filter() -> Spec:
    """Return a parameter that fades the series not picked in the legend; goes with `FADING`."""
    return {"name": "pick", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}


def zoom(name: str = "zoom", *encodings: str) -> Spec:
    """Return a parameter by which dragging moves the axes and the wheel with Ctrl or Shift stretches them.

    The wheel alone scrolls the page.
    """
    axes = list(encodings or ("x",))
    return {"name": name, "select": {"type": "interval", "encodings": axes, "zoom": _WHEEL}, "bind": "scales"}


def logarithmic(numbers: Iterable[float | None]) -> Spec:
    """Return a logarithmic scale and its axis; over several decades it has grid lines only at those."""
    known = [number for number in numbers if number]
    decades = ceil(log10(max(known))) - floor(log10(min(known))) if known else 1
    return {"scale": {"type": "log"}, "axis": {"tickCount": decades if decades > 1 else 5}}


def size(height: int = HEIGHT) -> Spec:
    """Return the size of a chart without panels."""
    return {"width": WIDTH, "height": height}


def quantitative(field: str, title: str | None = None) -> Spec:
    """Return the encoding of a number."""
    return {"field": field, "type": "quantitative", "title": title}


def tooltip(*fields: str) -> list[Spec]:
    """Return the encoding of a tooltip with these fields."""
    return [{"field": field} for field in fields]


def values(rows: Iterable[Row]) -> Spec:
    """Return data that lies in the specification itself."""
    return {"values": [{key: exact(value) for key, value in row.items()} for row in rows]}


def series_colours(names: Iterable[str], *, after: int = 0) -> dict[str, str]:
    """Return a colour for each name in order; colours repeat, and the first `after` are in use already."""
    return {name: SERIES[at % len(SERIES)] for at, name in enumerate(dict.fromkeys(names), start=after)}


def colour_scale(colours: Mapping[str, str]) -> Spec:
    """Return the encoding of a series' colour, with a legend above the chart, in as many columns as fit."""
    longest = max(map(len, colours), default=0)
    columns = max(1, int(WIDTH // (longest * _LETTER + _SYMBOL)))
    legend = {"title": None, "orient": "top", "columns": columns, "labelLimit": WIDTH - _SYMBOL}
    scale = {"domain": list(colours), "range": list(colours.values())}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": legend}


def _wrap(text: str) -> Sequence[str]:
    lines: list[str] = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _TITLE_WIDTH:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
