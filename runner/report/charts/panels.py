"""Charts with a place for each stage: one panel for each configuration, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from runner.report.charts.chart import HEIGHT, WIDTH, Row, Spec, values
from runner.report.charts.measured import MeasuredStage

_COLUMNS: Final = 2
_MAX_TALL_PANELS: Final = 4
_BAR_SHARE: Final = 0.55
_MAX_BAR_WIDTH: Final = 60
_CHARACTER_WIDTH: Final = 6.5
"""Pixels, rounded up from the average."""


@dataclass(frozen=True, slots=True)
class Panels:
    """How the panels share the width.

    Attributes:
        labels: Configuration to its stages' labels, both in the order they are drawn.
    """

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
        return WIDTH if len(self.labels) == 1 else WIDTH // _COLUMNS - 30

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
        slanted = longest * _CHARACTER_WIDTH > self.stage_width
        axis = {"labelAngle": -40 if slanted else 0, "labelLimit": 140, "title": None}
        return {"field": "stage", "type": "nominal", "sort": None, "axis": axis}

    def arrange(self, rows: Sequence[Row], spec: Spec) -> Spec:
        """Return the whole specification.

        Args:
            rows: Each with the fields ``panel`` and ``stage``.
            spec: Of one panel, without data and size.
        """
        if len(self.labels) == 1:
            return {"data": values(rows), "width": WIDTH, **spec, "height": HEIGHT}
        height = HEIGHT if len(self.labels) <= _MAX_TALL_PANELS else HEIGHT // 2
        return {
            "data": values(rows),
            "facet": {"field": "panel", "type": "nominal", "sort": list(self.labels), "title": None},
            "columns": _COLUMNS,
            "spec": {**spec, "width": self.width, "height": height},
            "resolve": {"scale": {"x": "independent"}},
        }
