"""The share of its target rate that a stage achieved, as it stands in brackets after both rates."""

from __future__ import annotations

from typing import Final

from runner.core.stage_results import Stage
from runner.report import number_format

_SAME_SHARE: Final = 0.005
"""Difference up to which two shares are the same figure."""


def achieved_share(stage: Stage) -> str:
    """Return the share that was sustained: ``24.9 %``; ``sustained: 0 %`` if that is not the rates' ratio.

    It is not where responses in the window are to requests that were due before it, or not all were in time.
    """
    share = number_format.share(stage.achieved)
    if stage.achieved is None or not stage.target_rps:
        return share
    ratio = min(1.0, (stage.actual_rps or 0.0) / stage.target_rps)
    return share if abs(stage.achieved - ratio) < _SAME_SHARE else f"sustained: {share}"
