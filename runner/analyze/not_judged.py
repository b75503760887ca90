"""What a comparison does not say: stages and metrics that may have got worse without being noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from runner.analyze.key_metrics import KEY_METRICS, KeyMetric, PartKey
from runner.core.codes import Unbounded
from runner.core.comparison import ComparedStage, LeftOut, MetricWithoutValue, NotJudged, StageKey
from runner.core.stage_results import Stage

_BASE_ONLY: Final = "it is only in the base"
_NO_REASON: Final = "it has no usable measurement"


def without_value(base: Sequence[Stage], head: Sequence[Stage]) -> Iterator[MetricWithoutValue]:
    """Yield the key metrics that have no finite value, or none at all, on one side of a stage."""
    closed = any(stage.users is not None for stage in (*base, *head))  # no request was due at a certain time
    for metric in KEY_METRICS:
        if closed and metric.metric.needs_schedule:
            continue
        why_base, why_head = _why(metric, base), _why(metric, head)
        before, after = _median(metric, base), _median(metric, head)
        if why_base or why_head or (before is None) != (after is None):
            yield MetricWithoutValue(metric.key, metric.unit, before, after, why_base, why_head)


def not_judged(
    stages: Sequence[ComparedStage],
    base: Sequence[StageKey],
    left_out: Sequence[LeftOut],
    suspect: Sequence[LeftOut],
) -> Iterator[NotJudged]:
    """Yield what is not judged, and why.

    A stage that only the head has is new and cannot have got worse. Neither can a metric that has no finite
    value in the base already.

    Args:
        stages: What was compared.
        base: All stages of the base that can be used.
        left_out: Stages of either side that cannot be used.
        suspect: Stages that were used with doubt.
    """
    compared = {(stage.configuration, stage.stage) for stage in stages}
    yield from _whole_stages(compared, base, left_out)
    doubts = {(it.configuration, it.stage): it.why for it in suspect}
    for stage in stages:
        place = (stage.configuration, stage.stage)
        part = PartKey.at(stage)._asdict()
        names = tuple(metric.name for metric in stage.metrics if not metric.judged)
        nothing = len(names) == len(stage.metrics)
        if names and stage.is_whole:  # the same holds for its requests and slices
            why = f"suspect: {doubts.get(place, '')}"
            yield NotJudged(*place, why, () if nothing else names, suspect=True)
        for metric in () if nothing and names else stage.without_value:
            if metric.base is not None:
                yield NotJudged(*place, _why_without(metric), (metric.name,), **part)


def _whole_stages(
    compared: set[StageKey], base: Sequence[StageKey], left_out: Sequence[LeftOut]
) -> Iterator[NotJudged]:
    why = dict.fromkeys(base, _BASE_ONLY) | {
        (it.configuration, it.stage): f"{it.side}: {it.why or _NO_REASON}" for it in left_out
    }
    for place, reason in why.items():
        if place not in compared:
            yield NotJudged(*place, reason)


def _why(metric: KeyMetric, stages: Sequence[Stage]) -> Unbounded | None:
    """Return why a metric has no finite value in a stage; None if it has one, or was not measured, in all."""
    return next(filter(None, map(metric.metric.unbounded, stages)), None)


def _why_without(metric: MetricWithoutValue) -> str:
    return "it has no finite value in the head" if metric.why_head else "it was measured only in the base"


def _median(metric: KeyMetric, stages: Sequence[Stage]) -> float | None:
    values = [value for _, value in metric.known(stages)]
    return median(values) if values else None
