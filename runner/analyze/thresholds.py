"""Evaluates thresholds on a stage."""

from __future__ import annotations

from collections.abc import Sequence
from operator import eq, ge, gt, le, lt
from typing import Final

from runner.core.metrics import METRICS
from runner.core.results import Stage, ThresholdResult
from runner.experiment.thresholds import Threshold

_OPERATORS: Final = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}


def evaluate(thresholds: Sequence[Threshold], stage: Stage) -> tuple[ThresholdResult, ...]:
    """Return each threshold with its value; a metric that was not measured fails with None."""
    return tuple(_evaluate(threshold, stage) for threshold in thresholds)


def _evaluate(threshold: Threshold, stage: Stage) -> ThresholdResult:
    value = METRICS[threshold.metric].read(stage)
    ok = value is not None and bool(_OPERATORS[threshold.op](value, threshold.bound))
    return ThresholdResult(threshold.expr, ok, value)
