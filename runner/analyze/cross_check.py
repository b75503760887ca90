"""Compares a stage with the same stage by the other engine, and explains differences.

A measurement is more credible if an independent tool confirms it. If it does not, the calibrations of
both engines and the requests that each left out show which one is inaccurate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.codes import StageStatus
from runner.core.metric import Dimension, Metric
from runner.core.metrics import CROSS_CHECKED, METRICS
from runner.core.repeat_results import CrossCheck, Difference
from runner.core.stage_results import Stage

SAME_SHARE: Final = 0.10
SAME_MS: Final = 0.2
SAME_RATE: Final = 0.01
_EXPLAINS: Final = (0.5, 2.0)
"""Difference in the stage, divided by that of the baselines, which these explain; our own bounds."""
_UNEVEN: Final = 0.2
"""Spacing error as a share of the planned gap from which it is a reason."""
_JUDGED: Final = tuple(metric for metric in CROSS_CHECKED if metric is not METRICS["connect.p95"])


def cross_checks(stages: Sequence[Stage], checks: Sequence[Stage]) -> tuple[CrossCheck, ...]:
    """Return the comparison of each stage of a configuration that the other engine measured as well."""
    others = {(other.name, other.repeat): other for other in checks}
    pairs = [(stage, others.get((stage.name, stage.repeat))) for stage in stages]
    return tuple(_cross_check(stage, other) for stage, other in pairs if other is not None)


def _cross_check(stage: Stage, other: Stage) -> CrossCheck:
    differences = {metric: _difference(stage, other, metric) for metric in CROSS_CHECKED}
    complete = all(side.status is StageStatus.COMPLETE for side in (stage, other))
    judged = filter(None, (differences[metric] for metric in _JUDGED))
    alike = not any(_is_one_sided(metric, stage, other) for metric in _JUDGED)
    agrees = complete and alike and all(difference.same for difference in judged)
    return CrossCheck(
        stage=stage.name,
        repeat=stage.repeat,
        engines=(stage.engine, other.engine),
        differences=tuple(filter(None, differences.values())),
        agrees=agrees,
        reasons=() if agrees else tuple(_reasons(stage, other)),
        trial=other,
    )


def _is_one_sided(metric: Metric, stage: Stage, other: Stage) -> bool:
    """Return whether a metric has no finite value with one engine only."""
    return bool(metric.unbounded(stage)) != bool(metric.unbounded(other))


def _difference(stage: Stage, other: Stage, metric: Metric) -> Difference | None:
    ours, theirs = metric.read(stage), metric.read(other)
    if ours is None or theirs is None:
        return None
    is_time = metric.dimension is Dimension.TIME
    # the throughput of users depends on their latencies
    share = SAME_RATE if stage.users is None else SAME_SHARE
    bound = max(SAME_SHARE * min(ours, theirs), SAME_MS) if is_time else share * theirs
    return Difference(
        metric=metric.key,
        values=(ours, theirs),
        difference=round(theirs - ours, 4),
        ratio=round(theirs / ours, 4) if ours else None,
        same=abs(theirs - ours) <= bound,
    )


def _reasons(stage: Stage, other: Stage) -> Iterator[str]:
    """Yield possible reasons for a difference, each with its number, the most likely first."""
    both = (stage, other)
    for side in both:
        if side.status is not StageStatus.COMPLETE:
            yield f"the stage with {side.engine} did not complete"
    for side in both:
        if dropped := side.requests.dropped:
            share = f" ({dropped / side.requests.scheduled:.1%})" if side.requests.scheduled else ""
            unsent = f"{side.engine} did not send {dropped:,} requests{share}"
            yield f"drops: {unsent}, so their latency is unknown"
    for side in both:
        if side.requests.failed:
            yield f"failures: {side.requests.failed:,} requests of {side.engine} failed"
    if stage.users is not None:
        yield "users: they wait for their responses, so the time that an engine itself needs slows them down"
    yield from filter(None, [_baselines(both), *map(_uneven, both), _connect(stage, other)])


def _baselines(both: Sequence[Stage]) -> str | None:
    """Return the baselines of both engines if they explain which is slower in the stage, and by how much."""
    baselines = [
        (side.calibration.duration_ms["p95"], side.engine)
        for side in both
        if side.calibration and "p95" in side.calibration.duration_ms
    ]
    if len(baselines) < 2:
        return None
    (faster_ms, faster), (slower_ms, slower) = sorted(baselines)
    gap_ms, measured = slower_ms - faster_ms, {side.engine: side.duration_ms.p95 for side in both}
    longer_ms, shorter_ms = measured[slower], measured[faster]
    if gap_ms <= SAME_MS / 2 or longer_ms is None or shorter_ms is None:
        return None
    if not _EXPLAINS[0] * gap_ms <= longer_ms - shorter_ms <= _EXPLAINS[1] * gap_ms:
        return None
    return (
        f"baseline: against a no-op server, p95 is {slower_ms:.2f} ms with {slower} and {faster_ms:.2f} ms "
        f"with {faster}"
    )


def _uneven(stage: Stage) -> str | None:
    spacing = stage.calibration.spacing_us if stage.calibration else None
    if spacing is None or spacing.error_p50_us < _UNEVEN * spacing.planned_gap_us:
        return None
    return (
        f"uneven spacing: half of the gaps between {stage.engine}'s requests differed by at least "
        f"{spacing.error_p50_us:,.0f} µs from the planned {spacing.planned_gap_us:,.0f} µs"
    )


def _connect(stage: Stage, other: Stage) -> str | None:
    ours, theirs = stage.connect_ms.p95, other.connect_ms.p95
    if ours is None or theirs is None or abs(ours - theirs) <= SAME_MS:
        return None
    return (
        f"connection time, which the duration excludes: p95 is {ours:.2f} ms with {stage.engine} and "
        f"{theirs:.2f} ms with {other.engine}"
    )
