"""The repeats of a stage together: median, confidence interval and outliers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from runner.analyze.key_metrics import KEY_METRICS, KeyMetric, is_usable
from runner.analyze.statistics import median_interval, outliers
from runner.core.results import OutlierResult, RepeatedMetric, Repeats, Stage


def repeats(stages: Sequence[Stage]) -> tuple[Repeats, ...]:
    """Return every stage that was planned more than once, in order of its first repeat."""
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        if not stage.find:
            groups.setdefault(stage.name, []).append(stage)
    return tuple(_repeats(name, group) for name, group in groups.items() if len(group) > 1)


def _repeats(name: str, group: Sequence[Stage]) -> Repeats:
    usable = [stage for stage in group if is_usable(stage)]
    metrics = {metric.key: _repeated(metric, usable) for metric in KEY_METRICS}
    return Repeats(
        stage=name,
        n=len(usable),
        left_out=tuple(stage.order for stage in group if not is_usable(stage)),
        metrics={key: repeated for key, repeated in metrics.items() if repeated},
    )


def _repeated(metric: KeyMetric, stages: Sequence[Stage]) -> RepeatedMetric | None:
    known = [(stage.order, value) for stage, value in metric.known(stages)]
    if not known:
        return None
    values = [value for _, value in known]
    interval = median_interval(values)
    low, high = (interval.low, interval.high) if interval else (None, None)
    far = tuple(OutlierResult(*known[index]) for index in outliers(values))
    return RepeatedMetric(median(values), low, high, far)
