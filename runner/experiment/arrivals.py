"""How many requests a configuration sends, so that values and rows continue from stage to stage (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from runner.core.mix import earlier_uses

if TYPE_CHECKING:
    from runner.experiment.find import FindStage
    from runner.experiment.stage import Stage
    from runner.experiment.traffic import Load

Arrivals: TypeAlias = tuple[int, int]
"""Number of arrivals of a stage, warm-up included, and how often it is run; of scenarios, they are users."""

_DEVIATIONS: Final = 8
"""A Poisson number exceeds its mean by more standard deviations once in 10¹⁵ stages."""
_ROUNDING: Final = 1e-6
_USERS_PER_S: Final = 1_000_000
"""How many numbers are set aside for each second in which users send as fast as responses come."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """What came before the first arrival of a stage.

    Attributes:
        arrivals: Number of arrivals.
        rows: Name of a variable to how many of them used its rows.
    """

    arrivals: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)


NO_ARRIVALS: Final = Numbering()


def arrivals(load: Load, stage: Stage) -> int:
    """Return how many arrivals a stage has, warm-up included; of random ones, at most so many.

    Of scenarios, an arrival is a user.

    How many a stage with users has depends on the service: enough numbers are set aside.
    """
    if stage.most_users:
        return max(stage.most_users, math.ceil(stage.warmup + stage.duration) * _USERS_PER_S)
    first, mean = stage.warmup_rps, stage.target_rps or 0.0
    if stage.user_rate is not None:
        first, mean = stage.warmup_user_rate, stage.user_rate
    area = first * stage.warmup + mean * stage.duration
    if load.arrivals == "poisson":
        return math.ceil(area + _DEVIATIONS * (math.sqrt(area) + 1))
    nearest = round(area)
    return nearest if abs(area - nearest) < _ROUNDING else math.ceil(area)


def of_stages(load: Load, stages: Sequence[Stage | FindStage], times: int = 1) -> Iterator[Arrivals]:
    """Yield the arrivals of each stage; a search has as many as all its probes can have at its highest rate.

    Args:
        load: Of the stages.
        stages: Of the configuration.
        times: How often all of them are run.
    """
    from runner.experiment.find import FindStage  # noqa: PLC0415  (imports this package's models)

    if not times:
        return
    for stage in stages:
        if isinstance(stage, FindStage):
            yield arrivals(load, stage.at(stage.find.highest)), stage.find.probes * times
        else:
            yield arrivals(load, stage), times


def numbering(load: Load, earlier: Sequence[Arrivals]) -> Numbering:
    """Return where the values of a stage begin.

    Args:
        load: Of the configuration.
        earlier: The arrivals of the stages before it.
    """
    counted = [name for name, variable in load.variables.items() if variable.is_counted]
    return Numbering(
        sum(count * times for count, times in earlier),
        {name: rows_used(load, name, earlier) for name in counted},
    )


def rows_used(load: Load, name: str, arrivals: Sequence[Arrivals]) -> int:
    """Return how many arrivals use a variable.

    Args:
        load: With the variable.
        name: Of the variable.
        arrivals: Of the stages.
    """
    uses = earlier_uses([weight for weight, _ in load.alternatives], users_of(load, name))
    return sum(uses(count) * times for count, times in arrivals)


def users_of(load: Load, name: str) -> tuple[int, ...]:
    """Return the indices of the requests, or of the scenarios, that use a variable."""
    from runner.experiment.variables import used  # noqa: PLC0415  (imports this package's models)

    return tuple(index for index, (_, parts) in enumerate(load.alternatives) if name in used(parts))
