"""Statistics of a few repeats: intervals, outliers, and whether two groups differ.

Pure Python on purpose: its random number generator is specified to return the same numbers everywhere, so
the intervals are the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import itemgetter
from random import Random
from statistics import NormalDist, fmean, median
from typing import Final

CONFIDENCE: Final = 0.95
_RESAMPLES: Final = 4000
_FAR: Final = 3.5
_MAD_TO_SIGMA: Final = 0.6745
_MEAN_TO_SIGMA: Final = 0.7979
_MIN_VALUES: Final = 4


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and both ends of its confidence interval."""

    value: float
    low: float
    high: float


def rounded(value: float | None, digits: int = 4) -> float | None:
    """Return a rounded number; None for an unknown one, and for infinity, which JSON cannot represent."""
    return None if value is None or math.isinf(value) else round(value, digits)


def median_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> Interval | None:
    """Return the median and its bootstrap interval; None for fewer than three values.

    The percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", 1979) with 4,000
    resamples and a fixed seed. With few repeats it is too narrow: the 95 % interval of 5 normal values
    contains the true median in about 94 of 100 cases, that of 3 values in about 75.
    """
    if len(values) < 3:
        return None
    medians = sorted(median(resample(values)) for resample in _resamples(len(values)))
    tail = (1 - confidence) / 2
    low, high = medians[int(tail * _RESAMPLES)], medians[math.ceil((1 - tail) * _RESAMPLES) - 1]
    return Interval(median(values), low, high)


@lru_cache(maxsize=2)
def _resamples(count: int) -> list[Callable[[Sequence[float]], tuple[float, ...]]]:
    """Return what draws each resample of so many values, with replacement: the same for all values."""
    draw = Random(count).choices  # noqa: S311  (reproducible, not secret)
    return [itemgetter(*draw(range(count), k=count)) for _ in range(_RESAMPLES)]


def outliers(values: Sequence[float], *, min_distance: float = 0.05) -> list[int]:
    """Return the indexes of values far from the others; outliers are reported and never removed.

    A value is an outlier if its modified z-score, 0.6745 × distance from the median ÷ median distance,
    exceeds 3.5 (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993). If more than half of the
    values are equal, the mean distance replaces the median distance.

    Args:
        values: One per repeat; fewer than four have no outliers.
        min_distance: Share of the median that the distance of an outlier exceeds.
    """
    if len(values) < _MIN_VALUES:
        return []
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    scale = median(distances) / _MAD_TO_SIGMA or fmean(distances) / _MEAN_TO_SIGMA
    return [
        at
        for at, distance in enumerate(distances)
        if distance > _FAR * scale and distance > min_distance * abs(middle)
    ]


def ratio(base: Sequence[float], head: Sequence[float], *, alpha: float) -> Interval:
    """Return head's median ÷ base's, with the confidence interval of the true ratio.

    The interval is that of the geometric means, and wider where that does not contain the ratio of medians:
    both estimate the same, and means need fewer repeats. Computed from logarithms, because times and rates
    vary by factors rather than by amounts.

    Args:
        base: Values above 0, at least one.
        head: Likewise; one of both has at least two.
        alpha: Probability that the interval does not contain the true ratio, 0 < alpha < 1.
    """
    logarithms = ([math.log(value) for value in side] for side in (base, head))
    return _of_medians(base, head, _difference_of_means(*logarithms, alpha=alpha))


def ratio_of_single(base: Sequence[float], head: Sequence[float], *, sigma: float, alpha: float) -> Interval:
    """Return the same for sides of at least one value, if the noise between runs is known.

    The noise is `sigma`, the standard deviation of the logarithm.
    """
    middle = fmean(map(math.log, head)) - fmean(map(math.log, base))
    half_width = NormalDist().inv_cdf(1 - alpha / 2) * sigma * math.sqrt(1 / len(base) + 1 / len(head))
    return _of_medians(base, head, Interval(middle, middle - half_width, middle + half_width))


def difference(base: Sequence[float], head: Sequence[float], *, alpha: float) -> Interval:
    """Return head's median − base's, with the confidence interval of the true difference.

    As for `ratio`, it is that of the means. One of both has at least two values.
    """
    value, means = median(head) - median(base), _difference_of_means(base, head, alpha=alpha)
    return Interval(value, min(value, means.low), max(value, means.high))


def _of_medians(base: Sequence[float], head: Sequence[float], logarithms: Interval) -> Interval:
    value = _exp(math.log(median(head)) - math.log(median(base)))
    return Interval(value, min(value, _exp(logarithms.low)), max(value, _exp(logarithms.high)))


def _difference_of_means(base: Sequence[float], head: Sequence[float], *, alpha: float) -> Interval:
    """Return head's mean − base's, with its confidence interval.

    By Student's t if both sides have the same number of values, when unequal variances matter little (Box,
    "Some theorems on quadratic forms applied in the study of analysis of variance problems", 1954), else by
    Welch's t ("The generalization of 'Student's' problem", 1947). A side with a single value is assumed to
    vary like the other side. One of both has at least two values.
    """
    middle = fmean(head) - fmean(base)
    if min(len(base), len(head)) == 1:
        larger = max(base, head, key=len)
        quantile = t_quantile(1 - alpha / 2, len(larger) - 1)
        half_width = quantile * math.sqrt(_variance(larger) * (1 + 1 / len(larger)))
        return Interval(middle, middle - half_width, middle + half_width)
    parts = [(_variance(side) / len(side), len(side) - 1) for side in (base, head)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return Interval(middle, middle, middle)
    freedom = float(sum(count for _, count in parts))
    if len(base) != len(head):
        freedom = variance**2 / sum(part**2 / count for part, count in parts)
    half_width = t_quantile(1 - alpha / 2, freedom) * math.sqrt(variance)
    return Interval(middle, middle - half_width, middle + half_width)


def _variance(values: Sequence[float]) -> float:
    """Return the variance of at least two values, 0 exactly if they are equal.

    That of the standard library takes ten times as long: it computes with fractions, and no measurement is
    that precise.
    """
    if min(values) == max(values):
        return 0.0
    mean = fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


@cache
def t_quantile(share: float, freedom: float) -> float:
    """Return the value below which a share of Student's t distribution lies.

    Args:
        share: 0.5 <= share < 1.
        freedom: Degrees of freedom, >= 1, not necessarily whole.
    """
    low, high = 0.0, 2.0
    while t_share(high, freedom) < share:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_share(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def t_share(value: float, freedom: float) -> float:
    """Return the share of Student's t distribution below a value >= 0 (Abramowitz and Stegun, 26.7.1)."""
    square = value * value
    if square < freedom:  # the same share without loss of precision for a ratio near 1
        return 0.5 + _beta_share(square / (freedom + square), 0.5, freedom / 2) / 2
    return 1 - _beta_share(freedom / (freedom + square), freedom / 2, 0.5) / 2


def _beta_share(x: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function, by its continued fraction (ibid., 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    term = result = 1.0
    above, below = 1.0, 0.0
    tiny = 1e-300
    for step in range(400):
        half = step // 2
        if step == 0:
            factor = 1.0
        elif step % 2:
            factor = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            factor = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        below = 1 / ((1 + factor * below) or tiny)
        above = (1 + factor / above) or tiny
        term = above * below
        result *= term
        if step and abs(term - 1) < 1e-15:
            break
    return front * (result - 1) / a


def _exp(value: float) -> float:
    """Return the exponential without overflow; larger values are practically unbounded."""
    return math.exp(min(value, 600.0))
