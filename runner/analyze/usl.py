"""The Universal Scalability Law: how capacity depends on the number of replicas.

X(N) = λN / (1 + σ(N − 1) + κN(N − 1)): λ is the capacity of one replica, σ the contention (the serial share,
as in Amdahl's law), κ the coherency (the cost of coordinating each pair). Gunther, "A Simple Capacity Model
of Massively Parallel Transaction Systems", CMG 1993, and "Guerrilla Capacity Planning", 2007.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from random import Random
from typing import Final, TypeAlias

from runner.core.units import PerSecond

PARAMETERS: Final = 3
DRAWS: Final = 1000
_SEED: Final = 1

Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """The capacity of a number of replicas.

    Attributes:
        replicas: >= 1.
        low: Its lower bound, > 0.
        high: Its upper bound; equal to `low` if it was measured and not searched.
    """

    replicas: int
    low: PerSecond
    high: PerSecond

    @property
    def rate(self) -> PerSecond:
        """The middle of the bounds on a logarithmic scale."""
        return math.sqrt(self.low * self.high)


@dataclass(frozen=True, slots=True)
class Law:
    """The law's three parameters.

    Attributes:
        alone: λ, the capacity of one replica.
        contention: σ >= 0.
        coherency: κ >= 0.
    """

    alone: PerSecond
    contention: float
    coherency: float

    def at(self, replicas: float) -> PerSecond:
        """Return the capacity of a number of replicas."""
        return self.alone * replicas / self._divisor(replicas)

    def _divisor(self, n: float) -> float:
        return 1 + self.contention * (n - 1) + self.coherency * n * (n - 1)

    @property
    def peak(self) -> float:
        """The number of replicas with the highest capacity; infinite without coherency."""
        if self.coherency <= 0:
            return math.inf
        return math.sqrt(max(1 - self.contention, 0) / self.coherency)

    @property
    def ceiling(self) -> PerSecond:
        """The capacity that no number of replicas exceeds; infinite for a system that scales linearly."""
        if self.coherency > 0:
            return self.at(max(self.peak, 1))
        return self.alone / self.contention if self.contention > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals; `peak` may end at infinity."""

    contention: Interval
    coherency: Interval
    peak: Interval


def fit(points: Sequence[Point]) -> Law | None:
    """Return the law with the smallest relative errors.

    N/X is linear in its parameters (Gunther 2007, chapter 5): N/X = a + b(N − 1) + cN(N − 1) with
    λ = 1/a, σ = b/a, κ = c/a. Errors are relative, and b and c are not negative.

    Returns:
        None for fewer than three different numbers of replicas, which cannot separate σ from κ, and for
        points without a finite λ.
    """
    return _fit([(point.replicas, point.rate) for point in points])


def intervals(points: Sequence[Point], law: Law) -> Intervals | None:
    """Return the uncertainty of a law, from fits to `DRAWS` simulated repetitions of the measurement.

    Each repetition draws every capacity from between its `low` and `high` (JCGM 101:2008) and applies one of
    the law's residual errors, scaled to its degrees of freedom (Efron, 1979).

    Returns:
        None if the points determine the law exactly and have no width, so that the uncertainty is unknown.
    """
    errors = _errors(points, law)
    if not any(errors) and all(point.low == point.high for point in points):
        return None
    random = Random(_SEED)  # noqa: S311  (reproducible, not secret)
    draws = (_fit([(p.replicas, _draw(p, errors, random)) for p in points]) for _ in range(DRAWS))
    fits = [drawn for drawn in draws if drawn is not None]
    return Intervals(
        *(_central([getattr(law, name) for law in fits]) for name in ("contention", "coherency", "peak"))
    )


def _errors(points: Sequence[Point], law: Law) -> list[float]:
    """Return the relative residual error of each point."""
    left = len(points) - PARAMETERS
    if left <= 0:
        return [0.0]
    scale = math.sqrt(len(points) / left)
    return [scale * (point.rate / law.at(point.replicas) - 1) for point in points]


def _draw(point: Point, errors: Sequence[float], random: Random) -> PerSecond:
    rate = random.uniform(point.low, point.high) * (1 + random.choice(errors))
    return max(rate, point.low * 1e-3)


def _central(values: Sequence[float]) -> Interval:
    """Return the interval that contains the central 95 % of values."""
    ranked = sorted(values)
    cut = round(len(ranked) * 0.025)
    return ranked[cut], ranked[-1 - cut]


def _fit(points: Sequence[tuple[int, PerSecond]]) -> Law | None:
    """Return the best law without negative parameters, over all choices of which parameters are not 0."""
    if len({n for n, _ in points}) < PARAMETERS:
        return None
    rows = [[rate / n, rate / n * (n - 1), rate * (n - 1)] for n, rate in points]
    a, b, c = _least_squares(rows, range(PARAMETERS)) or _best_without_all(rows)
    return Law(1 / a, b / a, c / a) if a > 0 else None


def _best_without_all(rows: Sequence[Sequence[float]]) -> list[float]:
    """Return the best weights where at least one is 0: only if that with all parameters is impossible."""
    choices = chain.from_iterable(combinations(range(PARAMETERS), size) for size in range(1, PARAMETERS))
    candidates = [weights for chosen in choices if (weights := _least_squares(rows, chosen)) is not None]
    return min(candidates, key=lambda weights: _residual(rows, weights))


def _residual(rows: Sequence[Sequence[float]], weights: Sequence[float]) -> float:
    return sum((1 - sum(x * w for x, w in zip(row, weights, strict=True))) ** 2 for row in rows)


def _least_squares(rows: Sequence[Sequence[float]], chosen: Sequence[int]) -> list[float] | None:
    """Return the weights with which every row is closest to 1, by the normal equations.

    Only the chosen columns are fitted; the others have weight 0. None if a weight is negative, or if there is
    no unique solution.
    """
    matrix = [[sum(row[i] * row[j] for row in rows) for j in chosen] for i in chosen]
    solved = _solve(matrix, [sum(row[i] for row in rows) for i in chosen])
    if solved is None or min(solved) < 0:
        return None
    weights = dict(zip(chosen, solved, strict=True))
    return [weights.get(column, 0.0) for column in range(PARAMETERS)]


def _solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float] | None:
    """Return the solution of a small linear system by pivoting; None if it is not unique."""
    work = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(work)
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(work[row][column]))
        work[column], work[pivot] = work[pivot], work[column]
        head = work[column]
        if abs(head[column]) < 1e-300:
            return None
        for row in range(size):
            if row != column:
                share = work[row][column] / head[column]
                work[row] = [x - share * y for x, y in zip(work[row], head, strict=True)]
    return [work[n][size] / work[n][n] for n in range(size)]
