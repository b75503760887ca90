"""The metrics that repeats, comparisons and histories use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from runner.core import metrics
from runner.core.codes import StageStatus, Validity
from runner.core.comparison import PartPlace, StageKey
from runner.core.metric import Metric
from runner.core.observed_results import Moment
from runner.core.ramp import Ramp
from runner.core.results import Results
from runner.core.stage_results import Stage


@dataclass(frozen=True, slots=True)
class KeyMetric:
    """A metric that gets a confidence interval.

    Attributes:
        key: Its name in `runner.core.metrics.KEY_METRICS`.
        noise: Assumed standard deviation of the logarithm between runs of the same system, used if there
            are no repeats. `python -m infra.bench.noise` measures it; these values are rounded up.
        weight: Its share of a comparison's error probability; the most important metrics get most.
        of_second: Reads it from one second of a stage, to estimate the noise; None if that is not possible.
        relative: Whether it changes by factors; a share that is mostly 0 does not.
        beyond: Share of the requests beyond its percentile, on which its precision depends.
    """

    key: str
    noise: float
    weight: int = 1
    of_second: Callable[[Moment], float | None] | None = None
    relative: bool = True
    beyond: float = 1.0

    @property
    def metric(self) -> Metric:
        """In the registry."""
        return metrics.KEY_METRICS[self.key]

    def of(self, stage: Stage) -> float | None:
        """Return its value in a stage; None if it was not measured."""
        return self.metric.read(stage)

    def known(self, stages: Sequence[Stage]) -> list[tuple[Stage, float]]:
        """Return its value in each stage that measured it; nothing if one has no finite value."""
        if any(self.metric.unbounded(stage) for stage in stages):
            return []
        return [(stage, value) for stage in stages if (value := self.of(stage)) is not None]

    def counted(self, stage: Stage) -> tuple[int, int]:
        """Return how many requests, or runs of scenarios, it is measured of: those due, and the successes."""
        if self.metric.scenarios_only and stage.scenarios:
            return stage.scenarios.scheduled, stage.scenarios.completed
        return stage.requests.scheduled, stage.requests.succeeded

    @property
    def is_percentile(self) -> bool:
        """Whether only a part of the requests lies beyond it."""
        return self.beyond < 1

    @property
    def unit(self) -> str:
        """Of its values."""
        return self.metric.dimension.unit


def _latency(key: str, noise: float, weight: int = 1, *, beyond: float) -> KeyMetric:
    return KeyMetric(key, noise, weight, lambda second: second.p95_ms, beyond=beyond)


RATE_OF_USERS: Final = KeyMetric("actual_rps", 0.15, weight=2, of_second=lambda second: second.rps)
"""The rate in the closed model: users who wait longer send less, so it is as noisy as latencies."""
RATE: Final = KeyMetric("actual_rps", 0.05, weight=2, of_second=lambda second: second.rps)
SCENARIO_RATE_OF_USERS: Final = KeyMetric("scenarios_per_s", 0.15, weight=2)
SCENARIO_RATE: Final = KeyMetric("scenarios_per_s", 0.05, weight=2)
"""Completed runs, in the open model; in the closed one they follow from how long users wait."""
CPU: Final = KeyMetric("cpu_cores.app", 0.10)
KEY_METRICS: Final = (
    RATE,
    _latency("duration_ms.p50", 0.10, beyond=0.5),
    _latency("duration_ms.p95", 0.15, weight=4, beyond=0.05),
    _latency("duration_ms.p99", 0.6, beyond=0.01),
    _latency("response_time_ms.p95", 0.15, beyond=0.05),
    SCENARIO_RATE,
    KeyMetric("scenario_duration_ms.p50", 0.10, beyond=0.5),
    KeyMetric("scenario_duration_ms.p95", 0.15, weight=4, beyond=0.05),
    CPU,
    KeyMetric("lost", 0.0, relative=False),
    KeyMetric("scenarios_lost", 0.0, relative=False),
)


def stages_by_name(results: Results) -> dict[StageKey, list[Stage]]:
    """Return all repeats of each stage by configuration and name, without the probes of searches."""
    stages: dict[StageKey, list[Stage]] = {}
    for configuration in results.configurations:
        for stage in configuration.stages:
            if not stage.find:
                stages.setdefault((configuration.name, stage.name), []).append(stage)
    return stages


def requests_of(stages: Sequence[Stage]) -> dict[str, list[Stage]]:
    """Return what repeats of a stage measured of each request of a mix; empty where there is only one."""
    names = dict.fromkeys(name for stage in stages if len(stage.parts) > 1 for name in stage.parts)
    return {name: [stage.part(name) for stage in stages if name in stage.parts] for name in names}


class PartKey(NamedTuple):
    """What is measured of a stage apart from the whole: one request of its mix, or one slice of its ramp."""

    request: str = ""
    level: Ramp | None = None
    users: bool = False
    user_rate: bool = False

    @classmethod
    def at(cls, place: PartPlace) -> PartKey:
        """Return the key of a part that a comparison names."""
        return cls(place.request, place.level, place.users, place.user_rate)

    def of(self, stage: Stage) -> Stage:
        """Return it as a stage; the whole stage if the key names nothing.

        Raises:
            KeyError: The stage has no such part.
        """
        if self.request:
            return stage.part(self.request)
        return stage if self.level is None else stage.slice(_places(stage)[self.level])


WHOLE: Final = PartKey()
"""The key of the whole stage."""


def slices_of(stages: Sequence[Stage]) -> dict[Ramp, list[Stage]]:
    """Return what repeats of a ramp measured in each slice, by its levels; empty for a constant level."""
    places = [_places(stage) for stage in stages]
    levels = dict.fromkeys(level for of_stage in places for level in of_stage)
    both = list(zip(stages, places, strict=True))
    return {level: [stage.slice(at[level]) for stage, at in both if level in at] for level in levels}


def _places(stage: Stage) -> dict[Ramp, int]:
    return {part.level: place for place, part in enumerate(stage.slices)}


def parts_of(stages: Sequence[Stage]) -> dict[PartKey, list[Stage]]:
    """Return what repeats of a stage measured of each request and in each slice."""
    requests = {PartKey(request=name): parts for name, parts in requests_of(stages).items()}
    users = any(stage.users is not None for stage in stages)
    user_rate = any(stage.users_per_s is not None for stage in stages)
    slices = {PartKey("", level, users, user_rate): parts for level, parts in slices_of(stages).items()}
    return requests | slices


def is_usable(stage: Stage) -> bool:
    """Return whether a stage's measurements can be used: it is complete and not invalid."""
    return stage.status is StageStatus.COMPLETE and stage.validity.status is not Validity.INVALID
