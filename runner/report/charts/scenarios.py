"""The funnel of each scenario: how many users are left after each of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.charts import chart
from runner.report.charts.chart import Chart, Row, Spec
from runner.report.charts.measured import (
    CHARACTER_WIDTH,
    MeasuredStage,
    measured_stages,
    several_configurations,
)
from runner.report.scenario_tables import step_name

FUNNELS: Final = "scenarios"
"""The name of the chart."""
_MAX_FUNNELS: Final = 8
_MAX_STEPS: Final = 30
_MAX_NAME: Final = 220
"""Pixels for the names of steps."""
_LEFT: Final = "still in the scenario"
_LOST: Final = "lost at this step"
_COLOURS: Final = {_LEFT: chart.BLUE, _LOST: chart.RED}
_START: Final = "started"


class _Funnel(NamedTuple):
    """A scenario of a stage.

    Attributes:
        place: The stage that it is drawn of.
        left: Users before the first step, and after each step, with the step's label.
    """

    place: MeasuredStage
    scenario: str
    left: tuple[tuple[str, int], ...]

    @property
    def started(self) -> int:
        """Users who started it."""
        return self.left[0][1]

    @property
    def steps(self) -> Iterator[tuple[str, int, int]]:
        """Each step with the users who are left after it, and those that it cost."""
        for (_, before), (step, after) in zip(self.left, self.left[1:], strict=False):
            yield step, after, before - after

    def title(self, *, several: bool) -> str:
        """Return the heading of its panel."""
        return f"{self.scenario} at {self.place.place(several=several)}" if several else self.scenario


def funnels(results: Results) -> Chart | None:
    """Return how many users are left after each step of each scenario; None without scenarios.

    Drawn of the stage of each configuration in which most users were lost, else of the one with most users.
    """
    stages = [one for one in measured_stages(results, medians=True) if one.stage.scenarios]
    found = [funnel for one in _worst_of_each(stages) for funnel in _of_stage(one)][:_MAX_FUNNELS]
    if not found:
        return None
    several = several_configurations(stages)
    rows = [row for funnel in found for row in _rows(funnel, several=several)]
    labels = [str(row["step"]) for row in rows]
    width = min(_MAX_NAME, round(max(map(len, labels)) * CHARACTER_WIDTH))
    spec: Spec = {
        "data": chart.values(rows),
        "vconcat": [_panel(funnel.title(several=several), chart.WIDTH - width) for funnel in found],
        "resolve": {"scale": {"color": "shared"}},
    }
    where = {funnel.place.place(several=several) for funnel in found}
    subtitle = f"Users who completed each step, {number_format.listed(sorted(where))}; red: lost at the step"
    return Chart(FUNNELS, _title(found, several=several), subtitle, spec)


def _panel(title: str, width: int) -> Spec:
    """Return one scenario's bars; not a facet, whose independent scales Vega warns of."""
    heading = {"text": title, "anchor": "start", "frame": "group", "fontSize": 11, "fontWeight": "normal"}
    return {"title": heading, "transform": [{"filter": {"field": "panel", "equal": title}}], **_bars(width)}


def _bars(width: int) -> Spec:
    in_order = {"field": "place", "op": "min", "order": "ascending"}
    y = {"field": "step", "type": "nominal", "sort": in_order, "title": None}
    colour = chart.colour_scale(_COLOURS)
    bars = {
        "mark": {"type": "bar"},
        "encoding": {
            "x": chart.quantitative("begin", "Users") | {"axis": {"tickCount": 6}},
            "x2": {"field": "end"},
            "y": y | {"axis": {"labelLimit": _MAX_NAME}},
            "color": colour | {"legend": {"title": None, "orient": "top", "direction": "horizontal"}},
            "tooltip": chart.tooltip("panel", "step", "series", "users", "label"),
        },
    }
    labels = {
        "mark": {"type": "text", "align": "left", "dx": 5, "baseline": "middle"},
        "encoding": {"x": chart.quantitative("before"), "y": y, "text": {"field": "label"}},
    }
    return {"width": width, "height": {"step": 22}, "layer": [bars, labels]}


def _worst_of_each(stages: Sequence[MeasuredStage]) -> list[MeasuredStage]:
    """Return one stage of each configuration: the one that lost the largest share of its users."""
    worst: dict[str, MeasuredStage] = {}
    for one in stages:
        known = worst.get(one.configuration)
        if known is None or _loss(one.stage) > _loss(known.stage):
            worst[one.configuration] = one
    return list(worst.values())


def _loss(stage: Stage) -> tuple[float, int]:
    runs = stage.scenarios
    if runs is None or not runs.started:
        return 0.0, 0
    return (runs.failed + runs.unfinished) / runs.started, runs.started


def _of_stage(place: MeasuredStage) -> Iterator[_Funnel]:
    for name, part in place.stage.scenario_parts.items():
        steps = place.stage.steps_of(name)
        if part.scenarios is None or not part.scenarios.started or not 0 < len(steps) <= _MAX_STEPS:
            continue
        left = [(_START, part.scenarios.started)]
        for path, step in steps.items():
            left.append((step_name(path), max(0, left[-1][1] - (step.ended_users or 0))))
        yield _Funnel(place, name, tuple(left))


def _rows(funnel: _Funnel, *, several: bool) -> Iterator[Row]:
    panel = funnel.title(several=several)
    for place, (step, left, lost) in enumerate(funnel.steps):
        label = f"{left:,} ({number_format.share(left / funnel.started)})"
        common: dict[str, str | float | None] = {"panel": panel, "step": step, "place": place}
        common["before"] = left + lost
        yield {**common, "series": _LEFT, "users": left, "begin": 0, "end": left, "label": label}
        yield {**common, "series": _LOST, "users": lost, "begin": left, "end": left + lost, "label": ""}


def _title(found: Sequence[_Funnel], *, several: bool) -> str:
    """Name the step that cost most users of its scenario; or that none did."""
    steps = [(lost / funnel.started, step, funnel) for funnel in found for step, _, lost in funnel.steps]
    share, step, worst = max(steps, key=lambda one: one[0])
    if not share:
        return "Every user who started a scenario completed all of its steps"
    where = f" at {worst.place.place(several=several)}" if several else ""
    lost = f"{number_format.share(share)} of those who started"
    return f"{worst.scenario} loses most users at {step}{where}: {lost}"
