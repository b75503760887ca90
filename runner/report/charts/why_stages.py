"""The stages that the picture of the verdict is drawn from, in order of their level; or the one ramp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from runner.analyze.medians import of_medians
from runner.core.codes import Limit, Validity
from runner.core.findings import Evidence
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.core.system_facts import LimitFacts, ServiceFacts
from runner.report.charts import chart
from runner.report.charts.chart import Spec
from runner.report.charts.measured import MeasuredStage
from runner.report.headline import headline
from runner.report.metric_text import level_heading, mean_users
from runner.report.number_format import FORMATS_BY_UNIT, rate
from runner.report.without_constant_rate import level_phrase

_COUNTED: Final = frozenset({"", "count", "connections", "requests", "responses", "processes"})
"""Units of what must not happen even once, if the bound is 1."""


@dataclass(frozen=True, slots=True)
class WhyStages:
    """The stages of one configuration that had a constant level, and the one that the verdict is about.

    Attributes:
        limit: Of `limited`.
        stages: Those with numbers, the lowest level first; `limited` is among them if its level is constant.
        host_cores: None where it is not known, and on several machines.
        app_limits: What one container of the app may use; None without limits.
        services: Name of each service of the system to what it is.
        configuration: Title of their configuration; empty if there is only one.
    """

    limit: Limit
    limited: Stage
    stages: tuple[MeasuredStage, ...]
    host_cores: int | None
    app_limits: LimitFacts | None
    services: Mapping[str, ServiceFacts] = field(default_factory=dict)
    configuration: str = ""

    @property
    def is_ramp(self) -> bool:
        """Whether the verdict is about a ramp, of which each slice has a level of its own."""
        return self.limited.level_ramp is not None

    @property
    def has_several_levels(self) -> bool:
        """Whether a curve over the level has more than one point."""
        return self.is_ramp or len({level_of(measured.stage) for measured in self.stages}) > 1

    @property
    def place(self) -> str:
        """Which stage the verdict is about, to begin a sentence with: ``At 100 RPS``."""
        return self.place_of(self.limited)

    @property
    def level_axis(self) -> Spec:
        """The horizontal axis of levels."""
        title = level_heading(self.limited)
        scale = {"zero": True, "nice": False, "padding": 10}
        return chart.quantitative("level", title) | {"scale": scale, "axis": {"tickCount": 8}}

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The numbers that support the verdict."""
        findings = self.limited.verdict.findings
        return findings[0].evidence if findings else ()

    def place_of(self, stage: Stage) -> str:
        """Return the same of another stage, with the configuration if there are several."""
        words = (
            f"in {self.configuration} {level_phrase(stage)}" if self.configuration else level_phrase(stage)
        )
        return f"{words[:1].upper()}{words[1:]}"

    def statement(self) -> str:
        """Return the first number of the evidence as a sentence; what limits if there is none."""
        return f"{self.place}, {self.first_number()}" if self.evidence else f"{self.place}: {self.limit}"

    def first_number(self) -> str:
        """Return the most telling number of the evidence; the verdict's code if there is none."""
        first = self.main_number
        if first is None:
            return self.limit.value
        value = f"{first.name}: {_figure(first, first.value)}"
        if first.threshold is None or (first.unit in _COUNTED and first.threshold <= 1):
            return value
        return f"{value}; the bound is {_figure(first, first.threshold)}"

    @property
    def main_number(self) -> Evidence | None:
        """The first number of the evidence that reaches its bound, else the first one."""
        bounded = (item for item in self.evidence if item.threshold is not None)
        first = next((item for item in bounded if item.value >= (item.threshold or 0.0)), None)
        return first or next(iter(self.evidence), None)


def why_stages(results: Results) -> WhyStages | None:
    """Return the stages of the configuration that the headline's verdict is about; None without any."""
    head = headline(results)
    if head.limited is None:
        return None
    for configuration in map(of_medians, results.configurations):
        if any(stage is head.limited or stage == head.limited for stage in configuration.stages):
            stages = sorted(_one_of_level(configuration, head.limited), key=lambda one: level_of(one.stage))
            cores = None if head.limited.nodes else results.cpu_count
            system = configuration.topology
            return WhyStages(
                *(head.limited.verdict.code, head.limited, tuple(stages), cores),
                *(system.limits, system.services or {}, head.limited_configuration),
            )
    return None


def _one_of_level(configuration: ConfigurationResults, limited: Stage) -> Iterable[MeasuredStage]:
    """Return one stage of each level, as a search may probe a rate again: the limited one, else the last."""
    known: dict[float, MeasuredStage] = {}
    for measured in _drawable(configuration, limited):
        level = level_of(measured.stage)
        if level not in known or known[level].stage != limited:
            known[level] = measured
    return known.values()


def _drawable(configuration: ConfigurationResults, limited: Stage) -> Iterator[MeasuredStage]:
    for stage in configuration.stages:
        trusted = stage.validity.status is not Validity.INVALID or stage == limited
        if stage.actual_rps is not None and stage.level_ramp is None and trusted:
            yield MeasuredStage(configuration.title or configuration.name, stage)


def level_of(stage: Stage) -> float:
    """Return the rate of a stage, or its number of users."""
    return stage.rate if stage.users is None else mean_users(stage)


def _figure(item: Evidence, value: float) -> str:
    form = FORMATS_BY_UNIT.get(item.unit, rate)
    return f"{form(value)}{'' if item.unit in {'', 'count'} else f' {item.unit}'}"
