"""How far the rate can go: every rate that a search tested, with its latency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.codes import RateUnit, SearchEnding
from runner.core.metrics import metric_of
from runner.core.repeat_results import Capacity, ProbeSummary
from runner.core.results import Results
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.metric_text import written_bound
from runner.report.prose import title

_SUSTAINED: Final = "sustained"
_NOT_SUSTAINED: Final = "not sustained"
_UNDECIDED: Final = "undecided"
_RESULTS: Final = {True: _SUSTAINED, False: _NOT_SUSTAINED, None: _UNDECIDED}
_SHAPES: Final[Spec] = {
    "field": "result",
    "type": "nominal",
    "scale": {
        "domain": [_SUSTAINED, _NOT_SUSTAINED, _UNDECIDED],
        "range": ["circle", "triangle-down", "cross"],
    },
    "legend": None,  # the subtitle says it
}
_MAX_CONFIGURATIONS: Final = 4
"""In the title."""


def capacity(results: Results) -> Chart | None:
    """Return p95 by tested rate, one line for each search."""
    searches = [
        (title(configuration), search)
        for configuration in results.configurations
        for search in configuration.capacity
    ]
    rows = _rows(searches)
    if not rows:
        return None
    unit = searches[0][1].unit
    times = (probe.p95_ms for _, search in searches for probe in search.probes)
    axis = "Users/s" if unit is RateUnit.USERS else "Target RPS"
    encoding: Spec = {
        "x": chart.quantitative("rps", axis) | {"scale": {"zero": False, "padding": 12}},
        "y": chart.quantitative("ms", "p95 (ms)") | chart.logarithmic(times),
        "color": chart.colour_scale(chart.series_colours(str(row["series"]) for row in rows)),
        "opacity": chart.FADING,
        "detail": {"field": "search"},
    }
    params = [chart.legend_filter(), chart.zoom("zoom", "x", "y")]
    last_of_each_rate = [{"filter": "datum.last"}]  # a rate that was tried again is one point of the curve
    line = {
        "params": params,
        "transform": last_of_each_rate,
        "mark": {"type": "line"},
        "encoding": encoding,
    }
    tooltip = chart.tooltip("series", "rps", "ms", "result", "why")
    dots = {
        "mark": {"type": "point", "filled": True, "size": 80},
        "encoding": {**encoding, "shape": _SHAPES, "tooltip": tooltip},
    }
    size: Spec = {"width": chart.WIDTH, "height": chart.HEIGHT}
    required = _required(searches)
    layer = [line, dots, *(_rule(bound) for bound in required)]
    spec: Spec = {"data": chart.values(rows), **size, "layer": layer}
    crosses = "; crosses: undecided" if any(row["result"] == _UNDECIDED for row in rows) else ""
    dashed = "; dashed: the required p95" if required else ""
    subtitle = f"p95 at each tested rate; triangles: not sustained{crosses}{dashed}"
    only_probes = all(stage.find for one in results.configurations for stage in one.stages)
    covers = frozenset({"throughput", "latency"} if only_probes else ())
    return Chart("capacity", _title(searches, len(results.configurations)), subtitle, spec, covers)


def _required(searches: Sequence[tuple[str, Capacity]]) -> list[float]:
    """Return the bounds in milliseconds that searches set on the p95 that is drawn."""
    bounds = {
        written_bound(expr)
        for _, search in searches
        for expr in search.holds
        if (metric := metric_of(expr)) is not None and metric.path == f"{search.latency}.p95"
    }
    return sorted(bound for bound in bounds if bound)


def _rule(bound: float) -> Spec:
    mark = {"type": "rule", "color": chart.RED, "strokeDash": [6, 4], "strokeWidth": 1.5}
    return {"data": chart.values([{}]), "mark": mark, "encoding": {"y": {"datum": bound}}}


def _rows(searches: Sequence[tuple[str, Capacity]]) -> list[Row]:
    return [
        {
            "series": name,
            "search": f"{search.stage} {search.repeat}",
            "rps": probe.rps,
            "ms": probe.p95_ms,
            "result": _RESULTS[probe.ok],
            "last": probe.order == _last_orders(search)[probe.rps],
            "why": probe.why,
        }
        for name, search in searches
        for probe in search.probes
        if probe.p95_ms
    ]


def _last_orders(search: Capacity) -> dict[float, int]:
    """Return for each rate with a latency the last probe that tried it."""
    return {probe.rps: probe.order for probe in sorted(search.probes, key=_order) if probe.p95_ms}


def _order(probe: ProbeSummary) -> int:
    return probe.order


def _title(searches: Sequence[tuple[str, Capacity]], configurations: int) -> str:
    """State the capacity of each configuration, or what is known of it; of repeats, all of them."""
    rates: dict[tuple[str, str], list[str]] = {}
    for name, search in searches:
        if found := _sustained(search):
            rates.setdefault((name, search.unit), []).append(found)
    statements = [
        f"{'The service' if configurations == 1 else name} sustains {number_format.listed(sustained)} {unit}"
        for (name, unit), sustained in rates.items()
    ]
    return "; ".join(statements[:_MAX_CONFIGURATIONS]) or _nothing_found(searches)


def _nothing_found(searches: Sequence[tuple[str, Capacity]]) -> str:
    """Return that no rate of a search is sustained, or that this is not known."""
    open_ended = {SearchEnding.STOPPED, SearchEnding.OPEN}
    unknown = any(search.ending in open_ended for _, search in searches)
    return "The search found no capacity" if unknown else "No rate was sustained"


def _sustained(search: Capacity) -> str:
    """Return the capacity; where a higher rate was not tested or not judged, that it may be higher."""
    if search.rps is not None:
        return number_format.rate(search.rps)
    return "" if search.held_rps is None else f"at least {number_format.rate(search.held_rps)}"
