"""The charts of a report: which there are, and how the library's SVG becomes a light and a dark picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from runner.core.results import Results
from runner.report.charts.capacity import capacity
from runner.report.charts.chart import DARK, LIGHT, Chart
from runner.report.charts.configurations import side_by_side
from runner.report.charts.cpu import cpu_by_role
from runner.report.charts.distribution import distribution
from runner.report.charts.memory import memory_by_role, memory_over_time
from runner.report.charts.nodes import cpu_by_node
from runner.report.charts.over_time import over_time
from runner.report.charts.ramps import ramps
from runner.report.charts.requests import requests
from runner.report.charts.scenarios import funnels
from runner.report.charts.stages import latency, throughput
from runner.report.charts.why import why

Draw: TypeAlias = Callable[[Results], Chart | None]

_ID: Final = re.compile(r"\b(clip|gradient_)\d+\b")
_CHARTS: Final = (
    why, throughput, latency, ramps, funnels, requests, cpu_by_role, memory_by_role, memory_over_time,
    cpu_by_node, over_time, distribution, capacity, side_by_side,
)  # fmt: skip


def charts(results: Results) -> list[Chart]:
    """Return every chart that the results have data for, in the order to show them.

    One that would repeat what another shows is left out. So is one whose numbers cannot be drawn, such as a
    negative one on a logarithmic axis: it must not cost the report.
    """
    drawn = [chart for draw in _CHARTS if (chart := _drawn(draw, results)) is not None]
    covered = {name for chart in drawn for name in chart.covers}
    return [chart for chart in drawn if chart.name not in covered]


def _drawn(draw: Draw, results: Results) -> Chart | None:
    try:
        return draw(results)
    except (ArithmeticError, ValueError):
        return None


def light_and_dark(svg: str) -> tuple[bytes, bytes]:
    """Return a chart that was drawn in light colours in light and in dark ones, with ids that do not vary."""
    light = _renumber(svg)
    dark = light
    for before, after in zip(LIGHT, DARK, strict=True):
        dark = dark.replace(before, after)
    return light.encode(), dark.encode()


def _renumber(svg: str) -> str:
    """Count ids from 0 in each file; the library counts them over the life of the process."""
    numbers: dict[str, int] = {}
    return _ID.sub(lambda match: f"{match[1]}{numbers.setdefault(match[0], len(numbers))}", svg)
