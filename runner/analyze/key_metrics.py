"""The metrics that repeats, comparisons and histories use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core import metrics
from runner.core.codes import StageStatus, Validity
from runner.core.comparison import StageKey
from runner.core.results import Moment, Results, Stage


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
        robust: Whether other programs on the host hardly affect it.
        beyond: Share of the requests beyond its percentile, on which its precision depends.
    """

    key: str
    noise: float
    weight: int = 1
    of_second: Callable[[Moment], float | None] | None = None
    relative: bool = True
    robust: bool = False
    beyond: float = 1.0

    @property
    def metric(self) -> metrics.Metric:
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


RATE: Final = KeyMetric("actual_rps", 0.05, weight=2, of_second=lambda second: second.rps, robust=True)
KEY_METRICS: Final = (
    RATE,
    _latency("duration_ms.p50", 0.10, beyond=0.5),
    _latency("duration_ms.p95", 0.15, weight=4, beyond=0.05),
    _latency("duration_ms.p99", 0.6, beyond=0.01),
    _latency("response_time_ms.p95", 0.15, beyond=0.05),
    KeyMetric("cpu_cores.app", 0.10),
    KeyMetric("lost", 0.0, relative=False, robust=True),
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


def is_usable(stage: Stage) -> bool:
    """Return whether a stage's measurements can be used: it is complete and not invalid."""
    return stage.status is StageStatus.COMPLETE and stage.validity.status is not Validity.INVALID
