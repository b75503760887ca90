"""The run as it went by: rate, latency and CPU of each second, stage after stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.results import Moment, Results
from runner.report import number_format
from runner.report.charts.chart import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    WIDTH,
    Chart,
    Row,
    Spec,
    logarithmic,
    quantitative,
    tooltip,
    values,
    zoom,
)
from runner.report.charts.measured import MeasuredStage, measured_stages, several_configurations
from runner.report.exact_numbers import exact

_PAUSE_S: Final = 2.0
_CHARACTER_WIDTH: Final = 6.0
"""Pixels, of the names above the stages."""


@dataclass(frozen=True, slots=True)
class _Band:
    """The place of one stage on the time axis, in seconds.

    Attributes:
        begins: Start of the warm-up.
        origin: Start of the measured window.
        ends: End of the measured window.
        place: The stage within a sentence.
        label: A shorter name.
        target_rps: Of the stage.
        moments: Of the stage.
    """

    begins: float
    origin: float
    ends: float
    place: str
    label: str
    target_rps: float
    moments: tuple[Moment, ...]

    @property
    def row(self) -> Row:
        """The band as data."""
        return {"from": self.begins, "origin": self.origin, "to": self.ends, "stage": self.place}

    def points(self) -> Iterator[Row]:
        """Yield each second as data."""
        for moment in self.moments:
            yield {
                "s": round(self.origin + moment.t_s, 3),
                "t": moment.t_s,
                "stage": self.place,
                "rps": moment.rps,
                "target": self.target_rps,
                "p95": moment.p95_ms or None,
                "system": moment.cpu_system,
                "errors": moment.errors,
            }


@dataclass(frozen=True, slots=True)
class _Panel:
    """One number over time.

    Attributes:
        field: Its name in the data.
        title: Of its axis.
        colour: Of its line.
        height: In pixels.
        target: Whether the target rate is drawn beside it.
        scale: Of its axis, unless linear.
        last: Whether it carries the time axis.
    """

    field: str
    title: str
    colour: str
    height: int
    target: bool = False
    scale: Spec | None = None
    last: bool = False


def over_time(results: Results) -> Chart | None:
    """Return rate, latency and CPU in use above each other, with a band for each stage."""
    bands = _bands([measured for measured in measured_stages(results) if measured.stage.timeseries])
    if not bands:
        return None
    p95_axis = logarithmic(moment.p95_ms for band in bands for moment in band.moments)
    panels = (
        _Panel("rps", "Actual RPS", BLUE, height=150, target=True),
        _Panel("p95", "p95 (ms)", ORANGE, height=110, scale=p95_axis),
        _Panel("system", "CPU cores", GREY, height=70, last=True),
    )
    spec: Spec = {
        "vconcat": [_names(bands), *(_drawn(panel, bands) for panel in panels)],
        "resolve": {"scale": {"x": "shared"}},
        "spacing": 8,
    }
    subtitle = "Each second in the order of the run; darker: warm-up; red line: target RPS"
    return Chart("over-time", _title(bands), subtitle, spec)


def _bands(stages: list[MeasuredStage]) -> list[_Band]:
    """Return the stages in the order they were run, with a pause between them."""
    several = several_configurations(stages)
    bands: list[_Band] = []
    begins = 0.0
    for measured in sorted(stages, key=lambda measured: measured.stage.order):
        stage = measured.stage
        origin = begins + stage.warmup_s
        ends = origin + max(stage.window_s, stage.timeseries[-1].t_s)
        place = measured.place(several=several)
        bands.append(_Band(begins, origin, ends, place, measured.label, stage.target_rps, stage.timeseries))
        begins = ends + _PAUSE_S
    return bands


def _time_axis(field: str, end: float) -> Spec:
    return quantitative(field) | {"scale": {"domain": [0, exact(end)], "nice": False}}


def _names(bands: Sequence[_Band]) -> Spec:
    """Return the stages' names above their bands, where they fit."""
    end = bands[-1].ends
    return {
        "name": "names",
        "width": WIDTH,
        "height": 14,
        "data": values(_fitting_names(bands)),
        "mark": {"type": "text", "baseline": "middle"},
        "encoding": {"x": {**_time_axis("middle", end), "axis": None}, "text": {"field": "name"}},
    }


def _fitting_names(bands: Sequence[_Band]) -> Iterator[Row]:
    end = bands[-1].ends
    for band in bands:
        width = (band.ends - band.begins) / end * WIDTH
        fitting = (name for name in (band.place, band.label) if len(name) * _CHARACTER_WIDTH <= width)
        if name := next(fitting, ""):
            yield {"middle": (band.begins + band.ends) / 2, "name": name}


def _drawn(panel: _Panel, bands: Sequence[_Band]) -> Spec:
    x = _time_axis("s", bands[-1].ends) | {"axis": {"grid": False, "labels": panel.last, "ticks": panel.last}}
    if panel.last:
        x["title"] = "Seconds of load, with shortened pauses"
    line = {
        "params": [zoom(f"zoom_{panel.field}")],
        "mark": {"type": "line", "color": panel.colour, "point": {"size": 14, "color": panel.colour}},
        "encoding": {
            "x": x,
            "y": quantitative(panel.field, panel.title) | (panel.scale or {}),
            "detail": {"field": "stage"},
            "tooltip": tooltip("stage", "t", "rps", "target", "p95", "system", "errors"),
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
    stages = [band.row for band in bands]
    warm_ups = [band.row for band in bands if band.origin > band.begins]
    return {
        "width": WIDTH,
        "height": panel.height,
        "data": values(point for band in bands for point in band.points()),
        "layer": [
            _shade(stages, "to", 0.09),
            _shade(warm_ups, "origin", 0.22),
            *([step] if panel.target else []),
            line,
        ],
    }


def _shade(rows: Sequence[Row], ends: str, opacity: float) -> Spec:
    return {
        "data": values(rows),
        "mark": {"type": "rect", "opacity": opacity, "color": GREY},
        "encoding": {
            "x": {"field": "from", "type": "quantitative"},
            "x2": {"field": ends},
            "tooltip": tooltip("stage"),
        },
    }


def _title(bands: Sequence[_Band]) -> str:
    """Name the slowest second after the warm-up."""
    seconds = [
        (moment.p95_ms, moment, band)
        for band in bands
        for moment in band.moments
        if moment.p95_ms and moment.t_s > 0
    ]
    if not seconds:
        return "Responses per second over time"
    p95, worst, band = max(seconds, key=lambda item: item[0])
    return (
        f"The slowest second was {worst.t_s:g} s into {band.place}: "
        f"p95 {number_format.ms(p95)} ms at {number_format.rate(worst.rps)} responses per second"
    )
