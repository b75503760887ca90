"""Charts as SVG, where the extra `charts` is installed; without it there are tables and no error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from runner.report.charts.chart import DARK, LIGHT, VEGA_LITE, Chart, themed
from runner.report.charts.stages import latency, ledger, side_by_side, throughput
from runner.report.charts.tails import capacity, distribution
from runner.report.charts.time import over_time

_ID: Final = re.compile(r"\b(clip|gradient_)\d+\b")
_ALL: Final[tuple[Callable[[Mapping[str, Any]], Chart | None], ...]] = (
    throughput,
    latency,
    ledger,
    over_time,
    distribution,
    capacity,
    side_by_side,
)


def charts(results: Mapping[str, Any]) -> list[Chart]:
    """Every chart that this run has data for, in the order to be shown.

    One that cannot be made of what is there is left out: a picture must not cost the report.
    """
    return [chart for make in _ALL if (chart := _made(make, results)) is not None]


def _made(make: Callable[[Mapping[str, Any]], Chart | None], results: Mapping[str, Any]) -> Chart | None:
    try:
        return make(results)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def render_svg(chart: Chart) -> tuple[bytes, bytes]:
    """The chart as SVG, light and dark; the same for the same data.

    Raises:
        ImportError: The extra `charts` is not installed.
        ValueError: The chart cannot be drawn.
    """
    import vl_convert  # noqa: PLC0415  (an extra)

    light = _numbered(vl_convert.vegalite_to_svg(themed(chart, dark=False), vl_version=VEGA_LITE))
    dark = light
    for before, after in zip(LIGHT, DARK, strict=True):
        dark = dark.replace(before, after)
    return light.encode(), dark.encode()


def _numbered(svg: str) -> str:
    """Ids counted from 0 in each file; the library counts all that a process has drawn."""
    found: dict[str, int] = {}
    return _ID.sub(lambda match: f"{match[1]}{found.setdefault(match[0], len(found))}", svg)
