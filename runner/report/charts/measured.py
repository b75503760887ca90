"""The stages that charts are made of, and a place for each: one panel for each configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from runner.analyze.medians import of_medians
from runner.core.codes import Validity
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.achieved_share import achieved_share
from runner.report.capacity import shown
from runner.report.charts import chart
from runner.report.charts.chart import Row, Spec
from runner.report.metric_text import levels
from runner.report.prose import title

_COLUMNS: Final = 2
_MAX_TALL_PANELS: Final = 4
_BAR_SHARE: Final = 0.55
_MAX_BAR_WIDTH: Final = 60
CHARACTER_WIDTH: Final = 6.5
"""Pixels, rounded up from the average."""


class MeasuredStage(NamedTuple):
    """A stage that has numbers, with its configuration's title."""

    configuration: str
    stage: Stage

    def row(self, **values: str | float | None) -> Row:
        """Return a datum of this stage in the panel of its configuration."""
        return {"panel": self.configuration, "stage": self.label, **values}

    @property
    def label(self) -> str:
        """Its name on an axis."""
        stage = self.stage
        return f"{stage.name} #{stage.repeat}" if stage.repeat > 1 else stage.name

    def place(self, *, several: bool) -> str:
        """Return its name within a sentence, with its configuration where there are several."""
        stage = self.stage
        name = levels(stage) if stage.find else stage.name
        repeat = f" (repeat {stage.repeat})" if stage.repeat > 1 else ""
        return f"{name}{repeat}" + (f" of {self.configuration}" if several else "")


def measured_stages(results: Results, *, medians: bool = False) -> list[MeasuredStage]:
    """Return every valid stage with numbers; of a search, the probes that decide it.

    With `medians`, each repeated stage is the median of its repeats.
    """
    return [
        MeasuredStage(title(configuration), stage)
        for configuration in results.configurations
        for stage in shown(of_medians(configuration) if medians else configuration).stages
        if stage.actual_rps is not None and stage.validity.status is not Validity.INVALID
    ]


def achieved(stage: Stage) -> str:
    """Return what a stage achieved of its target rate, as ``1,250 of 4,000 RPS (31.3 %)``.

    Where not all of the responses were due in the window, the share that was sustained is named as such.
    """
    actual, target = stage.actual_rps or 0.0, stage.target_rps
    if not target or stage.achieved is None:
        return f"{number_format.rate(actual)} RPS"
    return f"{number_format.rate(actual)} of {number_format.rate(target)} RPS ({achieved_share(stage)})"


def several_configurations(stages: Iterable[MeasuredStage]) -> bool:
    """Return whether the stages belong to more than one configuration."""
    return len({measured.configuration for measured in stages}) > 1


@dataclass(frozen=True, slots=True)
class Panels:
    """How panels share the width; `labels` maps configurations to their stages' labels, in drawing order."""

    labels: dict[str, list[str]]

    @classmethod
    def of(cls, stages: Iterable[MeasuredStage]) -> Panels:
        """Return panels with a place for each of these stages."""
        labels: dict[str, list[str]] = {}
        for measured in stages:
            places = labels.setdefault(measured.configuration, [])
            if measured.label not in places:
                places.append(measured.label)
        return cls(labels)

    @property
    def width(self) -> int:
        """Of one panel in pixels."""
        return chart.WIDTH if len(self.labels) == 1 else chart.WIDTH // _COLUMNS - 30

    @property
    def stage_width(self) -> float:
        """The room for one stage in pixels, the same in all panels."""
        return self.width / max(len(places) for places in self.labels.values())

    @property
    def bar_width(self) -> int:
        """The width of one bar in pixels."""
        return round(min(_BAR_SHARE * self.stage_width, _MAX_BAR_WIDTH))

    def stage_axis(self) -> Spec:
        """Return the axis of stages, its labels slanted where they would overlap."""
        longest = max(len(label) for places in self.labels.values() for label in places)
        slanted = longest * CHARACTER_WIDTH > self.stage_width
        axis = {"labelAngle": -40 if slanted else 0, "labelLimit": 140, "title": None}
        return {"field": "stage", "type": "nominal", "sort": None, "axis": axis}

    def stacked_bars(self, field: str, title: str, colours: Mapping[str, str], *, rank: str = "") -> Spec:
        """Return a bar for each stage, with a part for each series; the legend selects one.

        Args:
            field: Of a row, with the size of a part.
            title: Of the axis.
            colours: Of the series.
            rank: Field that orders the parts, which are in alphabetical order without one.
        """
        return {
            "params": [chart.legend_filter()],
            "mark": {"type": "bar", "width": self.bar_width},
            "encoding": {
                "opacity": chart.FADING,
                "x": self.stage_axis(),
                "y": chart.quantitative(field, title) | {"stack": True},
                "color": chart.colour_scale(colours),
                **({"order": {"field": rank}} if rank else {}),
                "tooltip": chart.tooltip("panel", "stage", "series", field),
            },
        }

    def arrange(self, rows: Sequence[Row], spec: Spec) -> Spec:
        """Return the whole specification from that of one panel, without data and size."""
        if len(self.labels) == 1:
            return {"data": chart.values(rows), "width": chart.WIDTH, **spec, "height": chart.HEIGHT}
        height = chart.HEIGHT if len(self.labels) <= _MAX_TALL_PANELS else chart.HEIGHT // 2
        return {
            "data": chart.values(rows),
            "facet": {"field": "panel", "type": "nominal", "sort": list(self.labels), "title": None},
            "columns": _COLUMNS,
            "spec": {**spec, "width": self.width, "height": height},
            "resolve": {"scale": {"x": "independent"}},
        }
