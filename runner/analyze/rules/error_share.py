"""Whether requests that failed explain why a stage fell short of its target, or merely failed as well."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

from runner.core.measured import Measured, Slice
from runner.core.stage_results import Stage
from runner.core.units import percent

_EXPLAINS: Final = 0.25
"""Share of what is missing from which errors may be a reason for it; our own bound."""
_RISE: Final = 2.0
"""Factor by which the share of errors must rise with the rate; our own bound."""
_SIGNIFICANT: Final = 3.0


def too_few_errors(stage: Stage, kinds: Collection[str]) -> str:
    """Return why the errors of a stage do not explain its shortfall, as the end of a sentence; empty if so.

    They do if they are a notable part of what is missing, or become more frequent as the rate rises. A share
    that is the same at every rate is a fault of the service, but not what limits it.

    Args:
        stage: In the open model; in the closed one, where nothing is due, errors always count.
        kinds: Failures that the service is responsible for.
    """
    if stage.achieved is None:
        return ""
    share, missing = _share(stage, kinds), 1 - stage.achieved
    if share >= _EXPLAINS * missing or _rises(stage, kinds):
        return ""
    return f", which is {percent(share, 1)} of all that was due, while {percent(missing, 1)} are missing"


def _share(stage: Stage, kinds: Collection[str]) -> float:
    """Return the share of the requests that failed; of the runs of scenarios, if that is larger."""
    counts = [(stage.requests.failures, stage.requests.scheduled)]
    if stage.scenarios:
        counts.append((stage.scenarios.failures, stage.scenarios.scheduled))
    return max(sum(failed.get(kind, 0) for kind in kinds) / due for failed, due in counts if due)


def _rises(stage: Stage, kinds: Collection[str]) -> bool:
    """Return whether errors are clearly more frequent in the half of a ramp with the higher rates."""
    ordered = sorted(stage.slices, key=lambda part: part.level.mean)
    low, high = ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]
    before, after = sum(map(_ended, low)), sum(map(_ended, high))
    if not before or not after:
        return False
    expected = after * _failed(low, kinds) / before
    found = _failed(high, kinds)
    return found >= _RISE * expected and found - expected >= _SIGNIFICANT * math.sqrt(max(1.0, expected))


def _ended(part: Measured) -> int:
    return part.requests.scheduled


def _failed(parts: Collection[Slice], kinds: Collection[str]) -> int:
    return sum(part.requests.failures.get(kind, 0) for part in parts for kind in kinds)
