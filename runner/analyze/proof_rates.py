"""Throughput of the blocks of a counter-experiment, without and with the change.

The machine's speed drifts, so a single comparison proves little. Blocks without and with the change
alternate; a gain counts only if it is clear of the spread of all blocks without the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Final, NamedTuple

from runner.core.stage_results import Stage

LIFTED: Final = 0.10
"""Relative gain in throughput from which a change can have lifted a limit; Loadproof's own bound."""
NOISE: Final = 2.0
"""Gain ÷ spread of the blocks without the change from which it is no drift. With a drift of up to 1.8 within
minutes, an unchanged limit passes in less than 1 % of counter-experiments, and twice the capacity in more
than 90 % (`tests/analyze/test_proof_statistics.py`)."""
UNKNOWN_SPREAD: Final = 0.25
"""The spread that is assumed where less than three blocks show it; four blocks were seen to differ by it."""
_FEWEST_BEFORE: Final = 3
_FEWEST_AFTER: Final = 2
"""So many blocks of each side show the noise; with fewer, `UNKNOWN_SPREAD` is assumed at least."""


class Rates(NamedTuple):
    """Throughput without and with the change.

    Attributes:
        before: Of each block without the change.
        after: Of each block with it.
        base: Mean over the blocks with the change of what their neighbours without it reached: a steady drift
            affects both sides alike. None without such blocks.
        spread: Largest difference between blocks without the change ÷ their mean; None if too few show it.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    base: float | None
    spread: float | None

    @property
    def reached(self) -> float | None:
        """Mean throughput with the change."""
        return fmean(self.after) if self.after else None

    @property
    def gain(self) -> float | None:
        """Relative gain; None from nothing to something, and where it is not known."""
        if self.base is None or self.reached is None:
            return None
        return self.reached / self.base - 1 if self.base else None

    @property
    def is_clear(self) -> bool:
        """Whether every block with the change is better, by more than the spread of the others explains."""
        if not self.after or min(self.after) <= max(self.before, default=0.0):
            return False
        few = self.spread is None or len(self.after) < _FEWEST_AFTER
        noise = NOISE * max(self.spread or 0.0, UNKNOWN_SPREAD if few else 0.0)
        return self.gain is None or self.gain >= max(LIFTED, noise)

    @property
    def most(self) -> float:
        """The largest gain that two of the blocks show."""
        least = min(self.before, default=0.0)
        return max(self.after, default=0.0) / least - 1 if least else 0.0


def block_rates(blocks: Sequence[tuple[bool, Stage]]) -> Rates:
    """Return the throughput of usable blocks, each with whether it had the change, in order."""
    rates = [(changed, block.actual_rps or 0.0) for changed, block in blocks]
    before = tuple(rate for changed, rate in rates if not changed)
    after = tuple(rate for changed, rate in rates if changed)
    bases = [_neighbours(rates, at) for at, (changed, _) in enumerate(rates) if changed]
    known = len(before) >= _FEWEST_BEFORE and fmean(before) > 0
    spread = (max(before) - min(before)) / fmean(before) if known else None
    return Rates(before, after, fmean(bases) if before and bases else None, spread)


def _neighbours(rates: Sequence[tuple[bool, float]], at: int) -> float:
    """Return the mean of the nearest blocks without the change, before and after another one."""
    left = [rate for changed, rate in rates[:at] if not changed][-1:]
    right = [rate for changed, rate in rates[at + 1 :] if not changed][:1]
    return fmean([*left, *right]) if left or right else 0.0
