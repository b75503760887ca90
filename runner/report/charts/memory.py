"""Memory by role: of each stage, and over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import UNSET

from runner.core.codes import Role
from runner.core.results import Results
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row
from runner.report.charts.cpu import role_colours
from runner.report.charts.measured import Panels, measured_stages, several_configurations
from runner.report.charts.over_time import Band, bands_of, time_panel
from runner.report.charts.why_counts import memory_by_part
from runner.report.metric_text import role_name

_HEIGHT: Final = 200
_GROWN: Final = 0.1
"""Share by which a part's memory must grow to be named; less is the noise of most run times."""
_NO_PARTS: Final = frozenset({Role.SYSTEM.value, Role.OTHER.value, Role.RUNNER.value, Role.DAEMON.value})
_NOT_UNDER_TEST: Final = _NO_PARTS | {Role.GENERATOR.value}
"""What the title names only where nothing else was measured: it is about the system under test."""


def memory_by_role(results: Results) -> Chart | None:
    """Return the peak memory of each role, stacked; None where none was measured."""
    stages = [
        measured for measured in measured_stages(results, medians=True) if memory_by_part(measured.stage)
    ]
    rows = [
        measured.row(series=series, mib=mib)
        for measured in stages
        for series, mib in memory_by_part(measured.stage).items()
    ]
    if not rows:
        return None
    panels = Panels.of(stages)
    colours = role_colours(str(row["series"]) for row in rows)
    bars = panels.stacked_bars("mib", "Memory (MiB)", colours)
    tested = [row for row in rows if row["series"] not in _NOT_UNDER_TEST]
    largest = max(tested or rows, key=lambda row: float(row["mib"] or 0))
    where = next(
        one for one in stages if one.label == largest["stage"] and one.configuration == largest["panel"]
    )
    mib = number_format.micros(float(largest["mib"] or 0))
    at = where.place(several=several_configurations(stages))
    title = f"Most memory: {largest['series']}, {mib} MiB at {at}"
    spec = panels.arrange(rows, {"layer": [bars]})
    return Chart("memory", title, "Peak resident memory by role", spec)


def memory_over_time(results: Results) -> Chart | None:
    """Return the memory of each part second by second; None where no results have it."""
    measured = [one for one in measured_stages(results) if one.stage.timeseries]
    bands = bands_of(measured)
    configurations = {id(one.stage): one.configuration for one in measured}
    series: dict[_Part, list[float]] = {}
    rows = [row for band in bands for row in _seconds(band)]
    if not rows:
        return None
    for band in bands:
        for row in _seconds(band):
            part = _Part(str(row["series"]), configurations[id(band.stage)])
            series.setdefault(part, []).append(float(row["mib"] or 0))
    colours = role_colours(str(row["series"]) for row in rows)
    spec = time_panel(bands, rows, chart.quantitative("mib", "Memory (MiB)"), colours, _HEIGHT)
    covers = frozenset({"memory"} if len(measured_stages(results)) == 1 else ())
    return Chart("memory-over-time", _growth(series), "Resident memory by part, each second", spec, covers)


def _seconds(band: Band) -> Iterator[Row]:
    for moment in band.moments:
        for role, mib in ({} if moment.memory_mib is UNSET else moment.memory_mib).items():
            if role not in _NO_PARTS:
                s = round(band.origin + moment.t_s, 3)
                series = role_name(role)
                at = {"s": s, "t": moment.t_s, **band.clock(moment.t_s), "stage": band.place}
                yield {**at, "series": series, "mib": mib}


class _Part(NamedTuple):
    """A part of one configuration, whose memory says nothing about that of another one's."""

    name: str
    configuration: str


def _growth(series: Mapping[_Part, Sequence[float]]) -> str:
    """Name the part whose memory grew most over the run, or the one that used most where none grew."""
    grown = {part: mib[-1] - mib[0] for part, mib in series.items()}
    part = max(grown, key=lambda one: grown[one])
    first, last = series[part][0], series[part][-1]
    several = len({one.configuration for one in series}) > 1
    if last - first >= _GROWN * first and last - first >= 1:
        figures = f"{number_format.micros(first)} to {number_format.micros(last)} MiB"
        where = f" in {part.configuration}" if several else ""
        return f"Memory over the run: {part.name} grew most, from {figures}{where}"
    most = max(series, key=lambda one: max(series[one]))
    used = number_format.micros(max(series[most]))
    grew = f"no part grew by more than {number_format.share(_GROWN)}"
    return f"Memory over the run: {grew}; {most.name} used most, {used} MiB"
