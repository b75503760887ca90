"""The stages that charts are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from runner.core.codes import Validity
from runner.core.results import Results, Stage
from runner.report import number_format
from runner.report.capacity import shown
from runner.report.prose import title


class MeasuredStage(NamedTuple):
    """A stage that has numbers, with its configuration's title."""

    configuration: str
    stage: Stage

    @property
    def label(self) -> str:
        """Its name on an axis."""
        stage = self.stage
        return f"{stage.name} #{stage.repeat}" if stage.repeat > 1 else stage.name

    def place(self, *, several: bool) -> str:
        """Return its name within a sentence, with its configuration where there are several."""
        stage = self.stage
        name = f"{number_format.rate(stage.target_rps)} RPS" if stage.find else stage.name
        repeat = f" (repeat {stage.repeat})" if stage.repeat > 1 else ""
        return f"{name}{repeat}" + (f" of {self.configuration}" if several else "")


def measured_stages(results: Results) -> list[MeasuredStage]:
    """Return every valid stage with numbers; of a search, the probes that decide it."""
    return [
        MeasuredStage(title(configuration), stage)
        for configuration in results.configurations
        for stage in shown(configuration).stages
        if stage.actual_rps is not None and stage.validity.status is not Validity.INVALID
    ]


def several_configurations(stages: Iterable[MeasuredStage]) -> bool:
    """Return whether the stages belong to more than one configuration."""
    return len({measured.configuration for measured in stages}) > 1
