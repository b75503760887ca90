"""The comparison of one metric of one stage: the change, its confidence interval, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, median, stdev
from typing import Final

from runner.analyze.key_metrics import RATE, RATE_OF_USERS, SCENARIO_RATE, SCENARIO_RATE_OF_USERS, KeyMetric
from runner.analyze.statistics import Interval, difference, ratio, ratio_of_single
from runner.core.codes import Basis, ComparisonVerdict, Validity
from runner.core.comparison import ComparedMetric
from runner.core.metric import Better
from runner.core.stage_results import Stage

_OF_USERS: Final = {RATE: RATE_OF_USERS, SCENARIO_RATE: SCENARIO_RATE_OF_USERS}
"""A rate of the open model to the same in the closed one."""
_RELEVANT_LOSS: Final = 0.01
_MIN_SECONDS: Final = 3
_MIN_REPEATS: Final = 4
_SUSTAINED: Final = 0.99
_SUSTAINED_NOISE: Final = 0.01


def known_in(metric: KeyMetric, stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages that measured a metric; a relative metric needs a value above 0."""
    return [stage for stage, value in metric.known(stages) if value > 0 or not metric.relative]


def _half_width(metric: KeyMetric, interval: Interval) -> float:
    """Return the smallest change that can be distinguished from no change."""
    return interval.high / interval.value - 1 if metric.relative else interval.high - interval.value


def compare_metric(
    metric: KeyMetric,
    base: Sequence[Stage],
    head: Sequence[Stage],
    *,
    alpha: float,
    margin: float,
    few: bool = False,
) -> ComparedMetric:
    """Return the change of one metric between stages that measured it, at least one on each side.

    The interval misses the true change with probability `alpha`; relative changes up to `margin` are
    irrelevant. With `few`, there may be so few requests that chance adds to the noise of a rate between
    runs; it always adds to that of a percentile.
    """
    if base[0].users is not None:
        metric = _OF_USERS.get(metric, metric)
    sides = [[value for s in stages if (value := metric.of(s)) is not None] for stages in (base, head)]
    basis = _basis(sides)
    relevant, none = (margin, 1.0) if metric.relative else (_RELEVANT_LOSS, 0.0)
    if basis is Basis.ASSUMED_NOISE:
        interval = _assumed(metric, sides, (base, head), alpha, few=few)
    else:
        interval = (ratio if metric.relative else difference)(*sides, alpha=alpha)
    doubtful = _is_doubtful(basis, (*base, *head))
    change = Interval(interval.value - none, interval.low - none, interval.high - none)
    return ComparedMetric(
        name=metric.key,
        unit=metric.unit,
        base=median(sides[0]),
        head=median(sides[1]),
        n=(len(base), len(head)),
        change=change.value,
        low=change.low,
        high=change.high,
        detectable=max(relevant, _half_width(metric, interval)),
        basis=basis,
        verdict=ComparisonVerdict.NOT_SHOWN if doubtful else _verdict(metric, change, relevant),
        judged=not doubtful,
    )


def _is_doubtful(basis: Basis, stages: Sequence[Stage]) -> bool:
    """Return whether a disturbance can explain any change.

    A single disturbed run can be slower by any factor, and near its limit it then completes and loses
    another share of what is due; only repeats on both sides show how much of that is chance.
    """
    suspect = any(stage.validity.status is Validity.SUSPECT for stage in stages)
    return suspect and basis is not Basis.REPEATS


def _basis(sides: Sequence[Sequence[float]]) -> Basis:
    """Return where the noise between runs is taken from."""
    few, many = sorted(map(len, sides))
    if few > 1:
        return Basis.REPEATS
    return Basis.REPEATS_OF_ONE_SIDE if many >= _MIN_REPEATS else Basis.ASSUMED_NOISE


def _assumed(
    metric: KeyMetric,
    values: Sequence[list[float]],
    sides: Sequence[Sequence[Stage]],
    alpha: float,
    *,
    few: bool,
) -> Interval:
    """Return an interval with an assumed, deliberately large noise, for a side with a single run."""
    if metric.relative:
        by_chance = few or metric.is_percentile
        sampling = _sampling_noise(metric, [*sides[0], *sides[1]]) if by_chance else 0.0
        sigma = math.hypot(_noise_of_both(metric, sides), sampling)
        return ratio_of_single(*values, sigma=sigma, alpha=alpha)
    lost = [median(side) for side in values]
    change = lost[1] - lost[0]
    requests = min(metric.counted(stage)[0] for side in sides for stage in side)
    half_width = NormalDist().inv_cdf(1 - alpha / 2) * _loss_noise(lost, requests) * 2**0.5
    return Interval(change, change - half_width, change + half_width)


def _sampling_noise(metric: KeyMetric, stages: Sequence[Stage]) -> float:
    """Return the standard deviation of a metric's logarithm that comes from the number of requests alone.

    With *k* requests beyond a percentile it is at most 1/√k for the median and half of that for p95 and p99,
    if the logarithm of a latency varies by 1 or less (asymptotic variance of an order statistic of the
    lognormal distribution); a rate of *k* requests varies by no more than 1/√k.
    """
    fewest = min(metric.counted(stage)[1] for stage in stages)
    return (0.5 if metric.beyond < 0.5 else 1.0) / math.sqrt(max(fewest * metric.beyond, 1.0))


def _loss_noise(lost: Sequence[float], requests: int) -> float:
    """Return 1.5 times the binomial noise, plus a third of the losses that both sides have."""
    both = min(fmean(lost), 1.0)  # an edited file may name more losses than requests
    return 0.002 + 1.5 * math.sqrt(both * (1 - both) / max(requests, 1)) + min(lost) / 3


def _noise_of_both(metric: KeyMetric, sides: Sequence[Sequence[Stage]]) -> float:
    """Return the noise of the quieter side for the rate, of the noisier side for other metrics.

    An overloaded service is noisy, which must not hide that its rate fell.
    """
    noises = [max(_noise(metric, stage) for stage in side) for side in sides]
    return min(noises) if metric in _OF_USERS else max(noises)


def _noise(metric: KeyMetric, stage: Stage) -> float:
    """Return the assumed noise, or the variation between the seconds of this run if it is larger."""
    noise = metric.noise
    if metric in _OF_USERS and (stage.achieved or 0) >= _SUSTAINED:
        noise = _SUSTAINED_NOISE  # an open loop offers the same load every time
    if not stage.slices:
        return max(noise, _variation(metric, stage))
    # over a whole ramp, metrics vary because its level does
    return max(noise, median(_variation(metric, stage.slice(at)) for at in range(len(stage.slices))))


def _variation(metric: KeyMetric, stage: Stage) -> float:
    """Return the standard deviation of a metric's logarithm between seconds of a run; 0 if unknown."""
    if stage.variation or metric.of_second is None:
        return stage.variation.get(metric.key, 0.0)
    seconds = [metric.of_second(second) for second in stage.timeseries if second.t_s > 0]
    logarithms = [math.log(value) for value in seconds if value and value > 0]
    return 0.0 if len(logarithms) < _MIN_SECONDS else stdev(logarithms)


def _verdict(metric: KeyMetric, change: Interval, margin: float) -> ComparisonVerdict:
    if (change.low > 0 or change.high < 0) and abs(change.value) > margin:
        better = (change.value > 0) == (metric.metric.better is Better.MORE)
        return ComparisonVerdict.BETTER if better else ComparisonVerdict.WORSE
    if -margin <= change.low and change.high <= margin:
        return ComparisonVerdict.EQUIVALENT
    return ComparisonVerdict.NOT_SHOWN
