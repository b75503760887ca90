"""The blocks of a counter-experiment: before, change, before, change, before, each of a few seconds (pure).

The speed of a machine drifts by more than a small gain within minutes. Blocks with and without the change
therefore alternate, and the spread of those without it shows how large the drift is.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from runner.core.units import PerSecond, Seconds
from runner.experiment.arrivals import arrivals
from runner.experiment.counter_experiments import changed
from runner.experiment.model import Configuration, Stage
from runner.experiment.stage import MAX_RPS
from runner.experiment.trials import Trial

BLOCKS: Final = 5
"""Of them, those with an odd number have the change."""
OVERLOAD: Final = 2.0
"""Rate of a block ÷ the throughput that the stage reached: enough to show twice the capacity."""
_WINDOW_S: Final = (3, 10)
"""Shortest and longest window of a block; the verdicts of shorter ones rest on too few seconds."""
_SHORTEST_S: Final = 2
"""The same of a stage that is no longer than that itself."""
_WARMUP_S: Final = 1.0
_QUEUE: Final = 0.8
"""Share of the time limit that a request may wait, so that none times out."""


class Reached(NamedTuple):
    """What a stage reached at its limit.

    Attributes:
        throughput: The highest; None where that is not known.
        timed_out: Whether requests timed out. A service that still works on requests whose clients gave up
            serves less than it can, so its throughput may be far below its capacity.
    """

    throughput: PerSecond | None
    timed_out: bool = False


def block_of(trial: Trial, reached: Reached, change: str, block: int, order: int) -> Trial:
    """Return one block of the counter-experiment about a trial.

    Args:
        trial: The trial whose verdict is tested.
        reached: What it reached.
        change: Name of the change.
        block: Its number, from 0.
        order: Its place in the run.

    Raises:
        ValueError: There is no such change, or it does not apply.
    """
    before = trial.configuration
    after = changed(before, change)
    stage = block_stage(trial, reached)
    configuration = after if block % 2 else before
    return Trial(
        _without_timeouts(configuration, stage, reached.throughput),
        stage,
        repeat=1,
        order=order,
        counter_experiment_for=trial.order,
        change=change,
        block=block,
        stack=before.name if after.topology == before.topology else "",
        earlier=trial.earlier,
    )


def block_stage(trial: Trial, reached: Reached) -> Stage:
    """Return what a block offers: a rate above the throughput for a few seconds, or the same users.

    After time-outs, the rate is no lower than the stage's: fewer requests in flight keep it from timing out.
    """
    stage = trial.stage
    window_s = block_window(stage.duration)
    warmup_s = min(max(_WARMUP_S, stage.warmup), window_s)
    times: dict[str, Any] = {"duration": float(window_s), "warmup": float(warmup_s), "thresholds": ()}
    if stage.users is not None:
        return stage.model_copy(update={**times, "users": stage.most_users})
    if stage.users_per_s is not None:
        short = stage.model_copy(update=times)
        rate = min(stage.highest_user_rate, _rate_of_rows(trial, short))
        return short.model_copy(update={"users_per_s": rate})
    short = stage.model_copy(update={**times, "rps": stage.highest_rps})
    if not reached.throughput:
        return short
    rate = max(float(f"{OVERLOAD * reached.throughput:.3g}"), 1.0)
    if reached.timed_out:
        rate = max(rate, stage.highest_rps)
    return short.model_copy(update={"rps": min(rate, _highest_rate(trial, short))})


def block_window(duration: Seconds) -> int:
    """Return the length of a block's window: all blocks take about as long as the stage."""
    shortest, longest = _WINDOW_S
    return min(longest, max(shortest if duration >= shortest else _SHORTEST_S, round(duration / BLOCKS)))


def block_seconds(configuration: Configuration, stage: Stage) -> Seconds:
    """Return how long all blocks of one counter-experiment take, without starting stacks."""
    window_s = block_window(stage.duration)
    warmup_s = min(max(_WARMUP_S, stage.warmup), window_s)
    return BLOCKS * (window_s + warmup_s + configuration.cooldown)


def _highest_rate(trial: Trial, block: Stage) -> PerSecond:
    """Return the highest rate that may be offered.

    A service that this run did not start gets no more than its specification says; a block uses no more rows
    of data than the stage had.
    """
    of_others = trial.configuration.topology.external_url is not None
    highest = trial.stage.highest_rps if of_others else float(MAX_RPS)
    return min(highest, _rate_of_rows(trial, block))


def _rate_of_rows(trial: Trial, block: Stage) -> PerSecond:
    """Return the rate at which a block uses all rows of data that the stage had; infinite without a limit."""
    load = trial.configuration.load
    if not any(variable.order == "once" for variable in load.variables.values()):
        return math.inf
    return arrivals(load, trial.stage) / (block.duration + block.warmup)


def _without_timeouts(
    configuration: Configuration, stage: Stage, throughput: PerSecond | None
) -> Configuration:
    """Return a configuration with so few requests in flight that none of them waits until it times out."""
    load, rate = configuration.load, stage.target_rps
    if not throughput or rate is None:
        return configuration
    wait_s = (rate / throughput - 1) * (stage.warmup + stage.duration)
    allowed_s = load.timeout * _QUEUE
    if wait_s <= allowed_s:
        return configuration
    in_flight = min(load.max_in_flight, max(1, int(throughput * allowed_s)))
    return configuration.model_copy(update={"load": load.model_copy(update={"max_in_flight": in_flight})})
