"""The rows of the page's tables: stages, scenarios and requests, each with what was measured of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runner.analyze.medians import of_medians
from runner.core.codes import Limit, StageStatus, Validity
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report.capacity import shown
from runner.report.prose import title
from runner.report.request_tables import parts, share
from runner.report.stage_choice import limit_or_state, probe_result


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage in the table, and among the verdicts; `unlimited` if it is valid and no limit was found."""

    configuration: str
    stage: Stage
    limit: str
    unlimited: bool

    @property
    def tone(self) -> str:
        """The colour of its verdict: ``good``, ``warn`` or ``bad``; empty for a stage that was not run."""
        return tone_of(self.stage)

    def place(self, *, several: bool) -> str:
        """Return what it is called, after its configuration if there are several."""
        return f"{self.configuration}, {self.stage.title}" if several else self.stage.title


def tone_of(stage: Stage) -> str:
    """Return the colour of a stage's verdict: ``good``, ``warn`` or ``bad``; empty if it was not run."""
    if stage.status is StageStatus.NOT_RUN:
        return ""
    if stage.validity.status is Validity.INVALID or stage.status is StageStatus.FAILED:
        return "bad"
    if probe_result(stage):
        return "warn"
    return "good" if stage.verdict.code is Limit.WITHIN_CAPACITY else "warn"


@dataclass(frozen=True, slots=True)
class PartRow:
    """A request of a mix, a step or a scenario in its table; `part` is what was measured of it."""

    configuration: str
    stage: Stage
    name: str
    part: Stage

    @property
    def share(self) -> float | None:
        """Its share of the stage's requests."""
        return share(self.stage, self.part)


def stage_rows(configurations: Sequence[ConfigurationResults]) -> list[StageRow]:
    """Return a row for each stage; of repeats, their median; of a search, the probes that decide it."""
    return [
        StageRow(title(configuration), stage, limit_or_state(stage), _is_unlimited(stage))
        for configuration in configurations
        for stage in shown(of_medians(configuration)).stages
    ]


def _is_unlimited(stage: Stage) -> bool:
    valid = stage.validity.status is Validity.VALID
    return valid and stage.verdict.code is Limit.WITHIN_CAPACITY


def request_rows(configurations: Sequence[ConfigurationResults]) -> list[PartRow]:
    """Return a row for each request of each stage with a mix."""
    return [
        PartRow(title(configuration), stage, name, part)
        for configuration in configurations
        for stage in shown(of_medians(configuration)).stages
        for name, part in parts(stage)
    ]


def scenario_rows(configurations: Sequence[ConfigurationResults]) -> list[PartRow]:
    """Return the scenarios of each stage; of several, all of them together last."""
    return [row for configuration in configurations for row in _scenarios(configuration)]


def _scenarios(configuration: ConfigurationResults) -> Iterator[PartRow]:
    for stage in shown(of_medians(configuration)).stages:
        names = list(stage.scenario_parts)
        yield from (PartRow(title(configuration), stage, name, stage.part(name)) for name in names)
        if len(names) > 1:
            yield PartRow(title(configuration), stage, "all scenarios", stage)
