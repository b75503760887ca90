"""What a chart is, and what all charts look like.

Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart
("Color Universal Design", 2008); each has enough contrast on white and on near-black.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any, Final

Spec = dict[str, Any]

BLUE: Final = "#0072B2"
ORANGE: Final = "#D98E04"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
PINK: Final = "#CC79A7"
SKY: Final = "#3E9FD6"
GREY: Final = "#8A8F98"
SERIES: Final = (BLUE, ORANGE, GREEN, RED, PINK, SKY, GREY, "#7A5195", "#A6761D", "#4D4D4D")
ROLE_COLOURS: Final[Mapping[str, str]] = {
    "app": BLUE,
    "proxy": ORANGE,
    "forwarder": RED,
    "generator": GREEN,
    "runner": PINK,
    "daemon": SKY,
    "other": GREY,
}
LIGHT: Final = ("#1c2330", "#566070", "#e3e6eb", "#fffffe")
DARK: Final = ("#e8eaed", "#a9b0ba", "#363b44", "#16191f")
"""Text, lesser text, lines and ground; no series has any of these colours."""
WIDTH: Final = 680
HEIGHT: Final = 260
_LONG_NAME: Final = 24
VEGA_LITE: Final = "6.4"
SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v6.json"


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with something to say.

    Attributes:
        name: Of its files.
        title: The finding, one sentence.
        subtitle: What is drawn, with units.
        spec: Vega-Lite, without title and colours of text and ground.
    """

    name: str
    title: str
    subtitle: str
    spec: Spec

    @property
    def alt(self) -> str:
        """For who cannot see it."""
        return " ".join(f"{self.title}. {self.subtitle}.".split())


def themed(chart: Chart, *, dark: bool) -> Spec:
    """The whole Vega-Lite specification."""
    return {**whole(chart), "config": theme(dark=dark)}


def whole(chart: Chart) -> Spec:
    """The specification with its title, without colours of text and ground."""
    title = {"text": _wrapped(chart.title), "subtitle": chart.subtitle, "anchor": "start", "frame": "group"}
    return {"$schema": SCHEMA, "title": {**title, "offset": 14}, **chart.spec}


def theme(*, dark: bool) -> Spec:
    """Colours and sizes of text, lines and ground."""
    ink, soft, grid, ground = DARK if dark else LIGHT
    text = {"labelColor": soft, "titleColor": soft, "labelFontSize": 11, "titleFontSize": 11}
    lines = {"gridColor": grid, "domainColor": grid, "tickColor": grid, "titleFontWeight": "normal"}
    title = {"color": ink, "subtitleColor": soft, "fontSize": 15, "fontWeight": 600, "subtitleFontSize": 12}
    return {
        "aria": False,  # whoever shows a chart says in words what it shows
        "mark": {"aria": False},
        "background": ground,
        "font": "sans-serif",
        "view": {"stroke": None},
        "title": {**title, "subtitlePadding": 5},
        "axis": {**text, **lines},
        "legend": {**text, "labelLimit": 420, "symbolLimit": 60},
        "header": {"labelColor": ink, "titleColor": soft, "labelFontSize": 12, "labelFontWeight": 600},
        "rule": {"color": soft},
        "text": {"color": soft, "fontSize": 11},
        "line": {"strokeWidth": 2},
        "range": {"category": list(SERIES)},
    }


def picked(name: str = "pick") -> Spec:
    """A legend that filters: what is not picked fades. For a unit's ``params`` and ``opacity``."""
    return {"name": name, "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}


_WHEEL: Final = "wheel![event.ctrlKey || event.metaKey || event.shiftKey]"
FADING: Final[Spec] = {"condition": {"param": "pick", "value": 1}, "value": 0.12}


def zoomed(name: str = "zoom", *encodings: str) -> Spec:
    """Dragging moves the axes, the wheel with Ctrl or Shift stretches them; alone it scrolls the page."""
    axes = list(encodings or ("x",))
    return {
        "name": name,
        "select": {"type": "interval", "encodings": axes, "zoom": _WHEEL},
        "bind": "scales",
    }


def logarithmic(numbers: Iterable[float | None]) -> Spec:
    """Scale and axis of a logarithmic direction; over several decades only those have lines."""
    found = [number for number in numbers if number]
    decades = ceil(log10(max(found))) - floor(log10(min(found))) if found else 1
    return {"scale": {"type": "log"}, "axis": {"tickCount": decades if decades > 1 else 5}}


def _wrapped(text: str, most: int = 88) -> list[str]:
    """Lines no longer than `most`, cut between words."""
    lines: list[str] = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def values(rows: Sequence[Mapping[str, Any]]) -> Spec:
    """Data that lies in the specification itself."""
    return {"values": [dict(row) for row in rows]}


def colours(names: Mapping[str, str], title: str | None = None) -> Spec:
    """A colour for each series, in order, with a legend: below the chart where names are long."""
    scale = {"domain": list(names), "range": list(names.values())}
    legend: Spec = {"title": title}
    if max(map(len, names), default=0) > _LONG_NAME:
        legend |= {"orient": "bottom", "columns": 1 if max(map(len, names)) > 2 * _LONG_NAME else 2}
    return {"field": "series", "type": "nominal", "scale": scale, "legend": legend}
