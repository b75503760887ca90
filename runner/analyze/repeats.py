"""The repeats of a stage together: median, confidence interval, outliers, and thresholds on the median."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.key_metrics import KEY_METRICS, KeyMetric, is_usable
from runner.analyze.median_stage import median_stage
from runner.analyze.statistics import median_interval, outliers
from runner.analyze.thresholds import evaluate
from runner.core.codes import StageStatus
from runner.core.judgements import ThresholdResult
from runner.core.repeat_results import OutlierResult, RepeatedMetric, Repeats
from runner.core.stage_results import Stage
from runner.experiment.thresholds import Threshold


def repeats(
    stages: Sequence[Stage], criteria: Callable[[str], Sequence[Threshold]] = lambda _: ()
) -> tuple[Repeats, ...]:
    """Return every stage that was planned more than once, in order of its first repeat.

    Args:
        stages: Of one configuration, in order.
        criteria: Returns the thresholds on a stage, by its name.
    """
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        if not stage.find:
            groups.setdefault(stage.name, []).append(stage)
    several = {name: group for name, group in groups.items() if len(group) > 1}
    return tuple(_repeats(name, group, criteria(name)) for name, group in several.items())


def _repeats(name: str, group: Sequence[Stage], criteria: Sequence[Threshold]) -> Repeats:
    usable = [stage for stage in group if is_usable(stage)]
    middle = median_stage(group)
    metrics = {metric.key: _repeated(metric, usable, middle) for metric in KEY_METRICS}
    return Repeats(
        stage=name,
        n=len(usable),
        left_out=tuple(stage.order for stage in group if not is_usable(stage)),
        metrics={key: repeated for key, repeated in metrics.items() if repeated},
        thresholds=tuple(_judged(criteria, group, middle)) or UNSET,
    )


def _judged(
    criteria: Sequence[Threshold], group: Sequence[Stage], middle: Stage
) -> Iterator[ThresholdResult]:
    """Yield each threshold on the median; it fails if no more than half of the repeats could be used."""
    ran = [stage for stage in group if stage.status is not StageStatus.NOT_RUN]
    unusable = [stage for stage in ran if not is_usable(stage)]
    if not ran:
        return
    for result in evaluate(criteria, middle):
        if 2 * len(unusable) < len(ran):
            yield result
        else:
            yield replace(result, ok=False, why=_too_few(ran, unusable))


def _too_few(ran: Sequence[Stage], unusable: Sequence[Stage]) -> str:
    numbers = ", ".join(str(stage.repeat) for stage in unusable)
    why = dict.fromkeys(stage.validity.reasons[0] for stage in unusable if stage.validity.reasons)
    left_out = f"repeat{'s'[: len(unusable) != 1]} {numbers} could not be used"
    reasons = f": {'; '.join(why)}" if why else ""
    return f"only {len(ran) - len(unusable)} of {len(ran)} repeats remain; {left_out}{reasons}"


def _repeated(metric: KeyMetric, stages: Sequence[Stage], middle: Stage) -> RepeatedMetric | None:
    """Return the median with its interval; None if it was not measured or has no finite value."""
    value = metric.of(middle)
    infinite = [metric.metric.unbounded(stage) is not None for stage in stages]
    numbers = [math.inf if lost else metric.of(stage) for stage, lost in zip(stages, infinite, strict=True)]
    known = [(s.order, number) for s, number in zip(stages, numbers, strict=True) if number is not None]
    if not known or value is None or metric.metric.unbounded(middle):
        return None
    values = [number for _, number in known]
    interval = median_interval(values)
    low, high = (interval.low, interval.high) if interval else (None, None)
    far = () if any(infinite) else tuple(OutlierResult(*known[at]) for at in outliers(values))
    return RepeatedMetric(value, low, None if high == math.inf else high, far)
