"""Charts of an experiment's history: a key metric over the runs, with a line for each stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from runner.core.comparison import History, MetricHistory, StageHistory
from runner.report import number_format
from runner.report.charts.chart import (
    FADING,
    Chart,
    Row,
    Spec,
    colour_scale,
    legend_filter,
    quantitative,
    series_colours,
    values,
)
from runner.report.metric_text import key_figure, key_heading, key_is_share
from runner.report.stage_place import has_several, place

_SHOWN: Final = ("actual_rps", "scenarios_per_s", "duration_ms.p95", "scenario_duration_ms.p95", "lost")
_MOST_LINES: Final = 10
_HEIGHT: Final = 220


def history_charts(history: History) -> list[Chart]:
    """Return a chart for each key metric with values of at least two runs that are not all 0.

    They are as wide as their places.
    """
    return [chart for name in _SHOWN if (chart := _chart(history, name)) is not None]


def _chart(history: History, name: str) -> Chart | None:
    whole = [stage for stage in history.stages if stage.is_whole and _metric(stage, name)]
    lines = whole[:_MOST_LINES]
    several = has_several(history.stages)
    titles = {id(stage): place(stage, several=several) for stage in lines}
    runs = _labels(history)
    rows = [row for stage in lines for row in _rows(_metric(stage, name), titles[id(stage)], runs)]
    drawn = len({row["run"] for row in rows})
    if drawn < 2 or not any(row["value"] for row in rows):
        return None
    left_out = len(whole) - len(lines)
    more = f"; {number_format.plural(left_out, 'more stage')} in the tables" if left_out else ""
    subtitle = f"{number_format.plural(drawn, 'run')}, the oldest on the left{more}"
    return Chart(f"history-{_SHOWN.index(name)}", key_heading(name), subtitle, _spec(name, rows, titles))


def _spec(name: str, rows: Sequence[Row], titles: Mapping[int, str]) -> Spec:
    x = {
        "field": "run",
        "type": "ordinal",
        "sort": None,
        "title": None,
        "scale": {"type": "point", "padding": 0.3},
        "axis": {"labelAngle": -30, "labelOverlap": True, "grid": False},
    }
    percent = {"labelExpr": "format(datum.value * 100, '~g') + ' %'"} if key_is_share(name) else {}
    axis = {"tickCount": 5, **percent}
    shown = {"run": "run", "id": "id", "series": "stage", "shown": key_heading(name)}
    return {
        "width": "container",
        "height": _HEIGHT,
        "data": values(rows),
        "params": [legend_filter()],
        "mark": {"type": "line", "point": {"filled": True, "size": 45}},
        "encoding": {
            "x": x,
            "y": {**quantitative("value"), "scale": {"zero": True, "nice": True}, "axis": axis},
            "color": colour_scale(series_colours(titles.values())),
            "opacity": FADING,
            "tooltip": [{"field": field, "title": title} for field, title in shown.items()],
        },
    }


def _rows(metric: MetricHistory | None, title: str, runs: Sequence[tuple[str, str]]) -> Iterator[Row]:
    assert metric is not None
    for (label, run_id), value in zip(runs, metric.values, strict=True):
        if value is not None:
            shown = key_figure(metric.name, value)
            yield {"run": label, "id": run_id, "series": title, "value": value, "shown": shown}


def _metric(stage: StageHistory, name: str) -> MetricHistory | None:
    return next((metric for metric in stage.metrics if metric.name == name), None)


def _labels(history: History) -> list[tuple[str, str]]:
    """Return label and id of each run; runs that began in the same minute are numbered."""
    seen: dict[str, int] = {}
    labels = []
    for run in history.runs:
        minute = run.started_at[:16].replace("T", " ")
        seen[minute] = seen.get(minute, 0) + 1
        labels.append((minute if seen[minute] == 1 else f"{minute} ({seen[minute]})", run.id))
    return labels
