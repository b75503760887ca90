"""Evaluates thresholds on a stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import eq, ge, gt, le, lt
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.failure import failure
from runner.analyze.silence import silence
from runner.core.codes import Unbounded
from runner.core.judgements import ThresholdResult
from runner.core.measured import Slice
from runner.core.metric import Metric
from runner.core.metrics import find_metric
from runner.core.stage_results import Stage
from runner.experiment.thresholds import Threshold

_ERRORS: Final = "errors"
_OPERATORS: Final = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}


def evaluate(thresholds: Sequence[Threshold], stage: Stage) -> tuple[ThresholdResult, ...]:
    """Return each threshold with its value; a metric that was not measured fails with None.

    A metric without a finite value, such as a percentile among failed requests, fails every upper bound. A
    threshold with a selector is about one request of a mix. One on errors also fails if it breaks with the
    share of the window in which users got no successful response. If the system under test failed, all fail:
    their values are those until then.
    """
    results = (_evaluate(threshold, stage) for threshold in thresholds)
    if why := failure(stage):
        return tuple(replace(result, ok=False, why=why) for result in results)
    return tuple(results)


def part_name(stage: Stage, name: str) -> str:
    """Return the name in `Stage.parts` of a request, a scenario or a step; as it is if there is no such part.

    The name of a step that only one scenario has may stand without that of its scenario.
    """
    steps = [path for path in stage.parts if path.endswith(f"/{name}")]
    return steps[0] if name not in stage.parts and len(steps) == 1 else name


def is_measured(result: ThresholdResult) -> bool:
    """Return whether a threshold's metric was measured, with a finite value or without."""
    return result.value is not None or result.unbounded is not UNSET


def _evaluate(threshold: Threshold, stage: Stage) -> ThresholdResult:
    metric = find_metric(threshold.metric)
    request = part_name(stage, threshold.request) if threshold.request else UNSET
    measured = stage.parts.get(request) if request else stage
    if measured is None or metric is None:
        return ThresholdResult(threshold.expr, ok=False, value=None, request=request)
    silent = silence(stage) if threshold.metric == _ERRORS else None
    if silent and not _holds(threshold, silent.share):
        return ThresholdResult(threshold.expr, ok=False, value=round(silent.share, 6), request=request)
    if metric.per_slice and metric.is_known_in(measured.slices):
        return replace(_over_slices(threshold, metric, measured.slices), request=request)
    if why := metric.unbounded(measured):
        return ThresholdResult(threshold.expr, _holds(threshold, math.inf), None, why, request)
    value = metric.read(measured)
    ok = value is not None and _holds(threshold, value)
    return ThresholdResult(threshold.expr, ok, value, request=request)


def _over_slices(threshold: Threshold, metric: Metric, slices: Sequence[Slice]) -> ThresholdResult:
    """Return a threshold on a ramp: it fails in the first slice that breaks it, and else has its worst value.

    A slice in which nothing was measured breaks nothing; if none measured anything, the threshold fails.
    """
    result = ThresholdResult(threshold.expr, ok=False, value=None, bound=threshold.bound)
    known = []
    for part in slices:
        why, value = metric.unbounded(part), metric.read(part)
        if not _passes(threshold, why, value):
            level = round(part.level.mean, 6)
            return replace(result, value=None if why else value, unbounded=why or UNSET, level=level)
        if value is not None:
            known.append(value)
    if not known:
        return result
    worst = min if threshold.op in {">", ">="} else max
    return replace(result, ok=True, value=worst(known))


def _passes(threshold: Threshold, why: Unbounded | None, value: float | None) -> bool:
    """Return whether a value passes, or one that is missing; without a finite value, it is infinite."""
    if why:
        return _holds(threshold, math.inf)
    return value is None or _holds(threshold, value)


def _holds(threshold: Threshold, value: float) -> bool:
    return bool(_OPERATORS[threshold.op](value, threshold.bound))
