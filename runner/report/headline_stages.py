"""Which two stages the first lines of a report are about: the best one, and the one that shows the limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from runner.core.codes import Limit
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report.metric_text import levels
from runner.report.prose import title
from runner.report.stage_choice import believed, constant, limited_beside_rates, measured, missed, sustained

_UNKNOWN = frozenset({Limit.WITHIN_CAPACITY, Limit.UNDETERMINED, Limit.GENERATOR})


class Place(NamedTuple):
    """A stage, and the configuration that it belongs to."""

    configuration: ConfigurationResults
    stage: Stage

    def name(self, *, several: bool) -> str:
        """Return what the stage is called, after its configuration if there are several."""
        stage = levels(self.stage) if self.stage.find else self.stage.title
        return f"{title(self.configuration)}, {stage}" if several else stage


def best_place(configurations: Sequence[ConfigurationResults]) -> tuple[Place | None, bool]:
    """Return the stage with the highest sustained rate, else with the highest throughput, and which it is.

    Of equal rates, the one with the lowest p95. None where nothing was measured.
    """
    good = [Place(one, stages[-1]) for one in configurations if (stages := sustained(one.stages))]
    if good:
        return max(good, key=lambda place: (place.stage.rate, -_p95(place.stage))), True
    ran = [Place(one, stage) for one in configurations for stage in measured(one.stages)]
    known = [place for place in ran if place.stage.actual_rps is not None]
    if not known:
        return None, False
    trusted = [place for place in known if believed([place.stage])] or known
    return max(trusted, key=lambda place: _throughput(place.stage)), False


def _p95(stage: Stage) -> float:
    return stage.response_time_ms.p95 or math.inf


def _throughput(stage: Stage) -> float:
    return (stage.scenarios_per_s if stage.scenarios else stage.actual_rps) or 0.0


def limited_place(best: Place, configurations: Sequence[ConfigurationResults]) -> Place:
    """Return the stage whose verdict says what limits the service.

    The lowest missed rate of the best stage's configuration whose limit is known; else of another one. A run
    without such a stage is about the best stage itself; so is one whose best stage is a ramp with a limit.
    """
    if not constant([best.stage]) and best.stage.verdict.code not in _UNKNOWN:
        return best
    others = [one for one in configurations if one is not best.configuration]
    ordered = [best.configuration, *others]
    short = [Place(one, stage) for one in ordered for stage in _short(one)]
    known = [place for place in short if place.stage.verdict.code not in _UNKNOWN]
    return (known or [place for place in short if place.configuration is best.configuration] or [best])[0]


def _short(configuration: ConfigurationResults) -> list[Stage]:
    """Return the stages that show a limit: rates that were missed, then ramps and users that reached one."""
    return [*missed(configuration.stages), *limited_beside_rates(configuration.stages)]
