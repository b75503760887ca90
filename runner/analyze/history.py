"""The key metrics of one experiment over its runs, in order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from statistics import median
from typing import TypeAlias

from runner.analyze.comparability import machine_differences
from runner.analyze.comparison import compare, compared_run
from runner.analyze.key_metrics import (
    KEY_METRICS,
    WHOLE,
    KeyMetric,
    PartKey,
    is_usable,
    parts_of,
    stages_by_name,
)
from runner.core.codes import ComparisonVerdict, Validity
from runner.core.comparison import History, MetricHistory, StageHistory
from runner.core.errors import UsageError
from runner.core.results import Results
from runner.core.stage_results import Stage

SCHEMA_VERSION = 1

_Key: TypeAlias = tuple[str, str, PartKey]
"""Names of a configuration and of a stage, and which part of it."""
_Verdicts: TypeAlias = Mapping[tuple[str, str, PartKey, str], ComparisonVerdict]


def history(runs: Sequence[Results], *, margin: float) -> History:
    """Return the trend of every stage and key metric of one experiment, oldest run first.

    Args:
        runs: At least two, in any order. Runs on other machines than the last one are left out.
        margin: As for `compare`.
    """
    ordered = sorted(runs, key=lambda results: (results.run.started_at, results.run.id))
    last = ordered[-1]
    used = [results for results in ordered if not machine_differences([last], [results])]
    elsewhere = [results for results in ordered if results not in used]
    judged = _judged(used, margin)
    stages = [_stages_and_parts(results) for results in used]
    keys = dict.fromkeys(key for of_run in reversed(stages) for key in of_run)
    return History(
        schema_version=SCHEMA_VERSION,
        experiment=last.experiment.name,
        margin=margin,
        runs=tuple(map(compared_run, used)),
        unlike=tuple(results.run.id for results in elsewhere),
        stages=tuple(_stage(key, [of_run.get(key, []) for of_run in stages], judged) for key in keys),
    )


def _judged(runs: Sequence[Results], margin: float) -> _Verdicts:
    """Return the verdict on each metric of the last run, compared with all earlier runs."""
    if len(runs) < 2:
        return {}
    try:
        comparison = compare(runs[:-1], runs[-1:], margin=margin)
    except UsageError:
        return {}
    return {
        (
            stage.configuration,
            stage.stage,
            PartKey.at(stage),
            metric.name,
        ): metric.verdict
        for stage in comparison.stages
        for metric in stage.metrics
        if metric.judged
    }


def _stages_and_parts(results: Results) -> dict[_Key, list[Stage]]:
    """Return all repeats of each stage, followed by those of each request of its mix or slice of its ramp."""
    repeats: dict[_Key, list[Stage]] = {}
    for key, stages in stages_by_name(results).items():
        repeats[*key, WHOLE] = stages
        repeats |= {(*key, part): measured for part, measured in parts_of(stages).items()}
    return repeats


def _stage(key: _Key, runs: Sequence[Sequence[Stage]], judged: _Verdicts) -> StageHistory:
    """Return one stage or part of it over all runs, each with its repeats; a run without it has none."""
    histories = (_metric(metric, runs, judged.get((*key, metric.key))) for metric in KEY_METRICS)
    configuration, stage, part = key
    suspect = tuple(place for place, stages in enumerate(runs) if any(map(_is_suspect, stages)))
    return StageHistory(configuration, stage, tuple(filter(None, histories)), suspect, **part._asdict())


def _is_suspect(stage: Stage) -> bool:
    return is_usable(stage) and stage.validity.status is Validity.SUSPECT


def _metric(
    metric: KeyMetric, runs: Sequence[Sequence[Stage]], verdict: ComparisonVerdict | None
) -> MetricHistory | None:
    medians = [_median(metric, stages) for stages in runs]
    if all(value is None for value in medians):
        return None
    values = [_finite(value) for value in medians]
    earlier = [value for value in medians[:-1] if value is not None]
    before = _finite(median(earlier)) if earlier else None
    unbounded = tuple(place for place, value in enumerate(medians) if value == inf)
    return MetricHistory(metric.key, metric.unit, tuple(values), before, values[-1], verdict, unbounded)


def _median(metric: KeyMetric, stages: Sequence[Stage]) -> float | None:
    """Return the median of the usable repeats, those without a finite value as infinite; None without any."""
    usable = [stage for stage in stages if is_usable(stage)]
    values = [inf if metric.metric.unbounded(stage) else metric.of(stage) for stage in usable]
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _finite(value: float | None) -> float | None:
    return None if value == inf else value
