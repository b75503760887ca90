"""Evaluates thresholds on a stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import eq, ge, gt, le, lt
from typing import Final

from msgspec import UNSET

from runner.core.metrics import METRICS
from runner.core.results import Stage, ThresholdResult
from runner.experiment.thresholds import Threshold

_OPERATORS: Final = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}


def evaluate(thresholds: Sequence[Threshold], stage: Stage) -> tuple[ThresholdResult, ...]:
    """Return each threshold with its value; a metric that was not measured fails with None.

    A metric without a finite value, such as a percentile among failed requests, fails every upper bound.
    """
    return tuple(_evaluate(threshold, stage) for threshold in thresholds)


def is_measured(result: ThresholdResult) -> bool:
    """Return whether a threshold's metric was measured, with a finite value or without."""
    return result.value is not None or result.unbounded is not UNSET


def _evaluate(threshold: Threshold, stage: Stage) -> ThresholdResult:
    metric = METRICS[threshold.metric]
    if why := metric.unbounded(stage):
        return ThresholdResult(threshold.expr, _holds(threshold, math.inf), None, why)
    value = metric.read(stage)
    return ThresholdResult(threshold.expr, value is not None and _holds(threshold, value), value)


def _holds(threshold: Threshold, value: float) -> bool:
    return bool(_OPERATORS[threshold.op](value, threshold.bound))
