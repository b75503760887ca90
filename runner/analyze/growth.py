"""Whether more and more requests are in flight over a stage: a trend, and not the noise of a steady level.

A stage may be as short as 3 s, where a comparison of its halves sees only fast growth. The trend test
of Mann ("Nonparametric tests against trend", 1945) has exact probabilities for any number of values and
assumes nothing about their distribution. With fewer than four values no order of them is rare enough;
then their size decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations, pairwise
from statistics import fmean, median
from typing import Final

from runner.core.observed_results import Moment
from runner.core.stage_results import Stage
from runner.core.units import Seconds

SIGNIFICANCE: Final = 0.05
"""Probability that a steady level is taken for growth by its order alone."""
_BLOCKS: Final = 8
"""Values that are compared: averages of longer windows, since neighbouring seconds depend on each other."""
_FEWEST: Final = 4
"""Values from which on their order can be significant."""
_BEYOND_CHANCE: Final = 3.0
"""Square roots of the level: a number of independent requests varies by about one of them."""
_BEYOND_CHANCE_OF_FEW: Final = 6.0
_MATERIAL: Final = 0.01
"""Share of the due requests that the growth must reach: a stage that loses less sustains its rate."""
_SLOW_START: Final = 0.1
"""Share of a ramp's average rate below which its number of requests in flight says nothing."""

_WAITED: Final = 0.1
"""Share of the response time that a request waited for a free slot, from which the slots were the queue."""
_LATE_MS: Final = 1.0


def grew(stage: Stage) -> bool:
    """Return whether more and more requests were in flight over the measured window of a stage.

    Of a ramp, growth is what its rate does not explain: requests in flight ÷ rate is the time that each takes
    (Little's law). A number of users is the number of requests in flight, so it never grows by itself. A
    queue that is full does not grow either; what it turns away is dropped or fails.
    """
    if stage.users is not None:
        return False
    levels = _levels(stage)
    rise = _rise(levels)
    if rise <= 0 or rise <= _MATERIAL * stage.requests.scheduled:
        return False
    chance = math.sqrt(max(1.0, fmean(levels)))
    if len(levels) < _FEWEST:
        return rise > _BEYOND_CHANCE_OF_FEW * chance and all(a < b for a, b in pairwise(levels))
    return rise > _BEYOND_CHANCE * chance and trend_probability(_averages(levels)) <= SIGNIFICANCE


def pauses_s(stage: Stage) -> Seconds:
    """Return how long a user of a scenario that completes pauses on average; 0 without scenarios.

    What is left of the duration of a run without the time of its requests.
    """
    pauses = 0.0
    for name, scenario in stage.scenario_parts.items():
        completed, duration_ms = scenario.scenarios, scenario.scenario_duration_ms.mean
        if completed is None or not completed.completed or duration_ms is None:
            continue
        steps = stage.steps_of(name).values()
        took_ms = sum((step.duration_ms.mean or 0.0) * step.requests.succeeded for step in steps)
        pauses = max(pauses, (duration_ms - took_ms / completed.completed) / 1000)
    return pauses


def queue_is_full(stage: Stage) -> bool:
    """Return whether requests waited in a queue at its bound: more of them were lost, or waited for a slot.

    Its length is constant then: `max_in_flight` bounds it, or the time-out.
    """
    failures, waited_ms = stage.requests.failures, stage.dispatch_delay_ms.mean or 0.0
    dropped = stage.requests.dropped or (stage.scenarios.dropped if stage.scenarios else 0)
    lost = dropped or failures.get("timeout") or failures.get("connect_timeout")
    # a generator that is late by itself makes the stage suspect from 5 % of the response time
    return bool(lost) or waited_ms > max(_LATE_MS, _WAITED * (stage.response_time_ms.mean or 0.0))


def _levels(stage: Stage) -> list[float]:
    """Return the requests in flight once a second, from the start of the window on; empty for less than two.

    Users of scenarios pause: until the first ones have paused as long as all do, more and more are
    under way.

    The last second is read when no more requests are due, so that it can be too low: it counts only if it is
    not lower than the one before, or if there are too few without it.
    """
    begin_s = max(0.0, pauses_s(stage) - stage.warmup_s)
    seconds = [second for second in stage.timeseries if begin_s <= second.t_s <= stage.window_s]
    levels = [level for second in seconds if (level := _at_average_rate(stage, second)) is not None]
    if len(levels) > 2 and seconds[-1].t_s > stage.window_s - 1 and levels[-1] < levels[-2]:
        levels.pop()
    return levels


def _at_average_rate(stage: Stage, second: Moment) -> float | None:
    """Return the requests in flight as they would be at a ramp's average rate; None where it is very low."""
    ramp = stage.rate_ramp
    if ramp is None:
        return float(second.in_flight)
    rate = ramp.at(second.t_s / stage.window_s)
    return None if rate < _SLOW_START * ramp.mean else second.in_flight * ramp.mean / rate


def _rise(levels: Sequence[float]) -> float:
    """Return the growth from the first to the last level, by the median of all slopes.

    Theil, "A rank-invariant method of linear and polynomial regression analysis", 1950: one level that stands
    out changes nothing.
    """
    averages = _averages(levels)
    if len(averages) < 2:
        return 0.0
    slopes = [(averages[b] - averages[a]) / (b - a) for a, b in combinations(range(len(averages)), 2)]
    return median(slopes) * (len(averages) - 1)


def _averages(levels: Sequence[float]) -> list[float]:
    """Return at most eight averages of consecutive levels."""
    count = min(_BLOCKS, len(levels))
    bounds = [round(at * len(levels) / count) for at in range(count + 1)] if count else []
    return [fmean(levels[begin:end]) for begin, end in pairwise(bounds)]


def trend_probability(values: Sequence[float]) -> float:
    """Return the probability that values without a trend are in ascending order at least as much as these.

    The exact one-sided probability of Mann's test, for few values; equal ones make it larger.
    """
    pairs = list(combinations(values, 2))
    ascending = sum((later > earlier) - (later < earlier) for earlier, later in pairs)
    most_inversions = (len(pairs) - ascending) // 2
    orders = _orders_by_inversions(len(values))
    return sum(orders[: most_inversions + 1]) / math.factorial(len(values))


@cache
def _orders_by_inversions(count: int) -> tuple[int, ...]:
    """Return how many orders of so many different values have 0, 1, 2 … inversions."""
    orders = [1]
    for size in range(2, count + 1):
        longer = [0] * (len(orders) + size - 1)
        for inversions, number in enumerate(orders):
            for more in range(size):
                longer[inversions + more] += number
        orders = longer
    return tuple(orders)
