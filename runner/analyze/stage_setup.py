"""What must be equal for a stage to be the same stage on both sides of a comparison."""

from __future__ import annotations

from typing import Final, TypeAlias

from runner.core.codes import DoubtCode
from runner.core.comparison import LeftOut, StageKey
from runner.core.judgements import Doubt
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage

Setup: TypeAlias = dict[str, float | str]
"""What a stage offers and how, by what it is called in messages."""

_MAX_SHOWN: Final = 6
"""Differences between two stages that a message names."""


def setup_of(configuration: ConfigurationResults, stage: Stage) -> Setup:
    """Return what must be equal for two stages to be the same stage."""
    rates: Setup = {
        f"rate of {name}": part.target_rps or part.users_per_s or 0.0 for name, part in stage.parts.items()
    }
    ends = stage.level_ramp
    level: Setup = {"ramp": f"{ends.begin:g} to {ends.to:g} in {stage.window_s:g} s"} if ends else {}
    if stage.users is not None and not ends:
        level["users"] = f"{stage.users}"
    if stage.users_per_s is not None and not ends:
        level["users per second"] = f"{stage.users_per_s:g}"
    return (
        rates
        | level
        | {
            "rate": stage.rate,
            "engine": configuration.engine,
            "connections": configuration.load.connection,
            "arrivals": configuration.load.arrivals,
        }
    )


def different(key: StageKey, base: Setup, head: Setup) -> LeftOut:
    """Return a stage that is another one on each side, with what differs."""
    differ = [name for name in dict.fromkeys([*base, *head]) if base.get(name) != head.get(name)]
    shown = [f"{name} {base.get(name, 'none')} → {head.get(name, 'none')}" for name in differ]
    more = [f"and {len(shown) - _MAX_SHOWN} more"] if len(shown) > _MAX_SHOWN else []
    why = f"the stages differ: {', '.join([*shown[:_MAX_SHOWN], *more])}"
    return LeftOut("both", *key, why, doubts=(Doubt(DoubtCode.STAGES_DIFFER, tuple(differ)),))
