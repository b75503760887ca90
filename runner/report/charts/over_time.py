"""The run as it went by: rate, latency and CPU of each second, stage after stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.observed_results import Moment
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.clock import ClockSpan, clock_axis, time_of_day, window_began
from runner.report.charts.measured import MeasuredStage, measured_stages, several_configurations
from runner.report.exact_numbers import exact

_PAUSE_S: Final = 2.0
_MOST_DOTTED: Final = 300
"""Seconds of a run up to which each panel has a dot for each of them."""
_TIME: Final = "Seconds of load, with shortened pauses"
_TIME_AND_CLOCK: Final = "Seconds of load, and time (UTC)"
"""Short, as a telephone gives a chart only as much room as its axis title leaves."""
_TICKS: Final = {"tickMinStep": 1}
_ALONE: Final = 3
"""Names of a stage that is the only one of its configuration: with it, the configuration, and its own."""
_LEAST_LETTERS: Final = 10
"""Of a name that is shortened."""
_CHARACTER_WIDTH: Final = 6.0
"""Pixels, of the names above the stages."""


@dataclass(frozen=True, slots=True)
class Band:
    """The place of one stage on the time axis, in seconds: warm-up from `begins`, window from `origin`.

    Attributes:
        names: What it may be called above the chart, best first; the first that fits is drawn.
    """

    begins: float
    origin: float
    ends: float
    place: str
    names: tuple[str, ...]
    stage: Stage
    moments: tuple[Moment, ...]

    @property
    def row(self) -> Row:
        """The band as data."""
        return {"from": self.begins, "origin": self.origin, "to": self.ends, "stage": self.place}

    @property
    def span(self) -> ClockSpan:
        """Its place on an axis that has the time of day."""
        return ClockSpan(self.begins, self.origin, self.ends, window_began(self.stage))

    def clock(self, t_s: float) -> Row:
        """Return the time of day of a second as data; empty where it is not known."""
        moment = time_of_day(window_began(self.stage), t_s)
        return {"UTC": moment} if moment else {}

    def points(self) -> Iterator[Row]:
        """Yield each second as data."""
        for moment in self.moments:
            yield {
                "s": round(self.origin + moment.t_s, 3),
                "t": moment.t_s,
                **self.clock(moment.t_s),
                "stage": self.place,
                "rps": moment.rps,
                "target": _target(self.stage, moment.t_s),
                "p95": moment.p95_ms or None,
                "system": moment.cpu_system,
                "errors": moment.errors,
            }


@dataclass(frozen=True, slots=True)
class _Panel:
    """One number over time.

    Attributes:
        height: In pixels.
        target: Whether the target rate is drawn beside it.
    """

    field: str
    title: str
    colour: str
    height: int
    target: bool = False
    scale: Spec | None = None


def over_time(results: Results) -> Chart | None:
    """Return rate, latency and CPU in use above each other, with a band for each stage."""
    stages = [measured for measured in measured_stages(results) if measured.stage.timeseries]
    bands = bands_of(stages)
    if not bands:
        return None
    p95_axis = chart.logarithmic(moment.p95_ms for band in bands for moment in band.moments)
    has_target = any(measured.stage.target_rps for measured in stages)
    panels = (
        _Panel("rps", "Actual RPS", chart.BLUE, height=150, target=has_target),
        _Panel("p95", "p95 (ms)", chart.ORANGE, height=110, scale=p95_axis),
        _Panel("system", "CPU cores", chart.GREY, height=70),
    )
    rows = [point for band in bands for point in band.points()]
    few = len(rows) <= _MOST_DOTTED
    shown = [panel for panel in panels if any(row[panel.field] is not None for row in rows)]
    parts = [
        _names(bands),
        *(_drawn(panel, bands, last=panel is shown[-1], dotted=panel is shown[0] or few) for panel in shown),
    ]
    spec: Spec = {
        "data": chart.values(rows),
        "vconcat": parts,
        "resolve": {"scale": {"x": "shared"}},
        "spacing": 8,
    }
    targets = "; red line: target RPS" if has_target else ""
    late = "; responses after the end of a window are left out" if any(map(_has_slower, bands)) else ""
    subtitle = f"Each second in the order of the run; darker: warm-up{targets}{late}"
    covers = frozenset({"throughput"} if len(stages) == 1 and has_target else ())
    return Chart("over-time", _title(bands), subtitle, spec, covers)


def bands_of(stages: Sequence[MeasuredStage]) -> list[Band]:
    """Return the stages in the order they were run, with a pause between them."""
    several = several_configurations(stages)
    bands: list[Band] = []
    begins = 0.0
    for measured in sorted(stages, key=lambda measured: measured.stage.order):
        stage = measured.stage
        origin = begins + stage.warmup_s
        ends = origin + max(stage.window_s, stage.timeseries[-1].t_s)
        place = measured.place(several=several)
        is_alone = several and [one.configuration for one in stages].count(measured.configuration) == 1
        names = (place, *([measured.configuration] if is_alone else []), measured.label)
        bands.append(Band(begins, origin, ends, place, names, stage, stage.timeseries))
        begins = ends + _PAUSE_S
    return bands


def time_panel(
    bands: Sequence[Band], rows: Sequence[Row], y: Spec, colours: dict[str, str], height: int
) -> Spec:
    """Return one panel with a line for each series of rows, which have ``s``, ``t`` and ``stage``."""
    x = _time_axis("s", bands[-1].ends) | {"axis": {"grid": False, **_TICKS, **_clock(bands)}}
    x["title"] = _title_of_axis(bands)
    line: Spec = {
        "params": [chart.zoom("zoom_time")],
        "mark": {"type": "line", "point": {"size": 14} if len(rows) <= _MOST_DOTTED else False},
        "encoding": {
            "x": x,
            "y": y,
            "color": chart.colour_scale(colours),
            "detail": {"field": "stage"},
            "tooltip": chart.tooltip("stage", "t", *_clock_tooltip(bands), "series", str(y["field"])),
        },
    }
    panel = {**chart.size(height), "data": chart.values(rows), "layer": [*_shades(bands), line]}
    return {"vconcat": [_names(bands), panel], "resolve": {"scale": {"x": "shared"}}, "spacing": 8}


def _target(stage: Stage, t_s: float) -> float | None:
    """Return the rate that a stage offered in the second that ends at a time; None in the closed model."""
    if stage.ramp is None:
        return stage.target_rps
    return stage.ramp.at(min(1.0, max(0.0, (t_s - 0.5) / stage.window_s)))


def _time_axis(field: str, end: float) -> Spec:
    return chart.quantitative(field) | {"scale": {"domain": [0, exact(end)], "nice": False}}


def _names(bands: Sequence[Band]) -> Spec:
    """Return the stages' names above their bands, where they fit."""
    end = bands[-1].ends
    return {
        "name": "names",
        "width": chart.WIDTH,
        "height": 14,
        "data": chart.values(_fitting_names(bands)),
        "mark": {"type": "text", "baseline": "middle"},
        "encoding": {"x": {**_time_axis("middle", end), "axis": None}, "text": {"field": "name"}},
    }


def _fitting_names(bands: Sequence[Band]) -> Iterator[Row]:
    """Yield the names of all stages in the same form, the best one that fits them all.

    Configurations with a stage each keep their names, shortened; of others, stages without room have none.
    """
    letters_in_all = chart.WIDTH / _CHARACTER_WIDTH
    room = [int((band.ends - band.begins) / bands[-1].ends * letters_in_all) for band in bands]
    forms = list(zip(*(band.names for band in bands), strict=False))
    chosen = next((form for form in forms if all(map(_fits, form, room))), forms[-1])
    if len(forms) == _ALONE and chosen is forms[-1] and min(room) >= _LEAST_LETTERS:
        chosen = tuple(_shortened(name, letters) for name, letters in zip(forms[1], room, strict=True))
    for band, name, letters in zip(bands, chosen, room, strict=True):
        if _fits(name, letters):
            yield {"middle": (band.begins + band.ends) / 2, "name": name}


def _fits(name: str, letters: int) -> bool:
    return len(name) <= letters


def _shortened(name: str, letters: int) -> str:
    return name if len(name) <= letters else f"{name[: letters - 1].rstrip()}…"


def _drawn(panel: _Panel, bands: Sequence[Band], *, last: bool, dotted: bool) -> Spec:
    """Return one panel over the data of the whole chart; the last one carries the time axis.

    Only dots have tooltips, and of thousands a browser takes long: of a long run only one panel is `dotted`.
    """
    x = _time_axis("s", bands[-1].ends) | {"axis": {"grid": False, "labels": last, "ticks": last, **_TICKS}}
    if last:
        x["axis"] |= _clock(bands)
        x["title"] = _title_of_axis(bands)
    dot = {"size": 14, "color": panel.colour}
    line = {
        "params": [chart.zoom(f"zoom_{panel.field}")],
        "mark": {"type": "line", "color": panel.colour, "point": dot if dotted else False},
        "encoding": {
            "x": x,
            "y": chart.quantitative(panel.field, panel.title) | (panel.scale or {}),
            "detail": {"field": "stage"},
            "tooltip": chart.tooltip(
                *("stage", "t", *_clock_tooltip(bands), "rps", "target", "p95", "system", "errors")
            ),
        },
    }
    step = {
        "mark": {"type": "line", "color": chart.RED, "strokeWidth": 1.5, "interpolate": "step"},
        "encoding": {"x": x, "y": {"field": "target", "type": "quantitative"}, "detail": {"field": "stage"}},
    }
    layer = [*_shades(bands), *([step] if panel.target else []), line]
    return {"width": chart.WIDTH, "height": panel.height, "layer": layer}


def _clock(bands: Sequence[Band]) -> Spec:
    return clock_axis([band.span for band in bands])


def _title_of_axis(bands: Sequence[Band]) -> str:
    return _TIME_AND_CLOCK if _clock(bands) else _TIME


def _clock_tooltip(bands: Sequence[Band]) -> list[str]:
    return ["UTC"] if any(band.span.window_at for band in bands) else []


def _shades(bands: Sequence[Band]) -> list[Spec]:
    """Return the grey behind each stage, darker behind its warm-up."""
    warm_ups = [band.row for band in bands if band.origin > band.begins]
    return [_shade([band.row for band in bands], "to", 0.09), _shade(warm_ups, "origin", 0.22)]


def _shade(rows: Sequence[Row], ends: str, opacity: float) -> Spec:
    mark = {"type": "rect", "opacity": opacity, "color": chart.GREY}
    x = {"x": {"field": "from", "type": "quantitative"}, "x2": {"field": ends}}
    return {"data": chart.values(rows), "mark": mark, "encoding": {**x, "tooltip": chart.tooltip("stage")}}


def _has_slower(band: Band) -> bool:
    """Return whether the stage's p95 is beyond that of all its seconds: slow responses came later."""
    p95 = band.stage.response_time_ms.p95
    seconds = [moment.p95_ms for moment in band.moments if moment.p95_ms]
    return bool(p95 and seconds) and (p95 or 0.0) > max(seconds)


def _title(bands: Sequence[Band]) -> str:
    """Name the slowest second of all windows."""
    seconds = [
        (moment, band) for band in bands for moment in band.moments if moment.p95_ms and moment.t_s > 0
    ]
    if not seconds:
        return _range_title(bands)
    worst, band = max(seconds, key=lambda second: second[0].p95_ms or 0.0)
    return (
        f"The slowest second, {worst.t_s:g} s into the window of {band.place}, had a p95 of "
        f"{number_format.ms(worst.p95_ms)} ms at {number_format.rate(worst.rps)} responses per second"
    )


def _range_title(bands: Sequence[Band]) -> str:
    """Return between what the rate of a single window varied; of several, what the chart shows."""
    counted = (moment.rps for band in bands for moment in band.moments if moment.t_s > 0)
    rates = [rps for rps in counted if rps is not None]
    if len(bands) > 1 or not rates:
        return "Responses per second over time"
    return f"From {number_format.rate(min(rates))} to {number_format.rate(max(rates))} responses per second"
