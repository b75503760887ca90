"""The knee of a latency curve: the rate from which latency rises sharply, by the Kneedle algorithm.

Satopää, Albrecht, Irwin and Raghavan, "Finding a 'Kneedle' in a Haystack: Detecting Knee Points in
System Behavior", ICDCS Workshops 2011. Both axes are normalised to 0 to 1; the knee is where the curve
is furthest below the straight line through its ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from runner.core.units import PerSecond

MIN_POINTS: Final = 5
SENSITIVITY: Final = 1.0
"""The paper's S: how many mean steps the difference must fall after its peak (1 for offline data)."""


def knee(points: Sequence[tuple[PerSecond, float]]) -> PerSecond | None:
    """Return the last rate before the latency rises sharply, from distinct rates with their latency.

    There is none for fewer than `MIN_POINTS`, and for a curve without a knee.
    """
    curve = sorted(points)
    if len(curve) < MIN_POINTS:
        return None
    rates, heights = (_normalised(axis) for axis in zip(*curve, strict=True))
    if rates is None or heights is None:
        return None
    below = [rate - height for rate, height in zip(rates, heights, strict=True)]
    fall = SENSITIVITY / (len(curve) - 1)  # the normalised rates span 1, so this is their mean step
    peaks = [n for n in range(1, len(below) - 1) if below[n - 1] <= below[n] > below[n + 1]]
    declared = [n for n, until in pairwise([*peaks, len(below)]) if min(below[n:until]) < below[n] - fall]
    best = max(declared, key=lambda n: below[n], default=None)
    return None if best is None else curve[best][0]


def _normalised(values: Sequence[float]) -> list[float] | None:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) for value in values] if high > low else None
