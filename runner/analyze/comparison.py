"""Whether one system is better than another, from two sets of runs of the same stages.

The intervals of one comparison hold simultaneously: each metric gets its share of the 5 % error, p95 the
largest (weighted Bonferroni; Rosenthal and Rubin, 1983), so that at most 1 in 20 comparisons of equal
systems reports a difference. The requests of a mix have as large a share together as the stage, and so have
the slices of a ramp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from runner.analyze.comparability import machine_differences, other_differences, same_programs
from runner.analyze.compared_metric import compare_metric, known_in
from runner.analyze.key_metrics import CPU, KEY_METRICS, WHOLE, KeyMetric, PartKey, is_usable, parts_of
from runner.analyze.not_judged import not_judged, without_value
from runner.analyze.stage_setup import Setup, different, setup_of
from runner.core.codes import ComparisonVerdict, StageStatus, Validity
from runner.core.comparison import ComparedRun, ComparedStage, Comparison, LeftOut, StageKey
from runner.core.errors import UsageError
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage

SCHEMA_VERSION: Final = 1
MARGIN: Final = 0.05
_ERROR: Final = 0.05
_MAX_SHOWN: Final = 6
"""Stages of one side only that a message names."""
_MOST_IMPORTANT_FIRST: Final = (
    ComparisonVerdict.WORSE, ComparisonVerdict.BETTER, ComparisonVerdict.NOT_SHOWN,
    ComparisonVerdict.EQUIVALENT,
)  # fmt: skip

_Pair: TypeAlias = tuple[KeyMetric, list[Stage], list[Stage]]


class _Subject(NamedTuple):
    """What is compared: a stage, or a part of it, with its share of the error in relation to others."""

    key: StageKey
    part: PartKey
    base: Sequence[Stage]
    head: Sequence[Stage]
    weight: float

    @property
    def pairs(self) -> list[_Pair]:
        """The key metrics that both sides measured, with the stages that have them.

        Users of a slower service send fewer requests, which cost less CPU; that is no improvement.
        """
        closed = any(stage.users is not None for stage in (*self.base, *self.head))
        metrics = [metric for metric in KEY_METRICS if not closed or metric is not CPU]
        pairs = ((metric, known_in(metric, self.base), known_in(metric, self.head)) for metric in metrics)
        return [pair for pair in pairs if pair[1] and pair[2]]


@dataclass(slots=True)
class _Pool:
    """The stages of one side, all repeats of all runs together."""

    stages: dict[StageKey, list[Stage]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    doubts: list[LeftOut] = field(default_factory=list)
    setups: dict[StageKey, Setup] = field(default_factory=dict)


def compare(
    base: Sequence[Results], head: Sequence[Results], *, margin: float = MARGIN, force: bool = False
) -> Comparison:
    """Return what changed from `base` to `head`, each one or more runs of the same specification.

    Relative changes up to `margin`, which is > 0, are irrelevant; `force` compares different machines.
    Suspect stages are used, but judged only where both sides have repeats.

    Raises:
        UsageError: The machines differ and `force` is off, or the sides have no usable stage in common.
    """
    if (machines := machine_differences(base, head)) and not force:
        raise UsageError(
            "the runs come from different machines, so a difference may not come from the system under test",
            hint="run both on one machine, or use --force to compare anyway",
            details=tuple(f"{fact.what}: {fact.base} → {fact.head}" for fact in machines),
        )
    before, after = _pool(base, "base"), _pool(head, "head")
    shared = _shared(before, after)
    if both := {results.run.id for results in base} & {results.run.id for results in head}:
        raise UsageError(f"run {min(both)} is on both sides", hint="put each run on one side only")
    stages = _compared_stages(shared, before, after, margin)
    left_out, doubts = (*before.left_out, *after.left_out), (*before.doubts, *after.doubts)
    return Comparison(
        schema_version=SCHEMA_VERSION,
        margin=margin,
        confidence=1 - _ERROR,
        base=tuple(map(compared_run, base)),
        head=tuple(map(compared_run, head)),
        unlike=machines,
        changed=other_differences(base, head),
        only_in_base=tuple(key for key in before.stages if key not in after.stages),
        only_in_head=tuple(key for key in after.stages if key not in before.stages),
        left_out=left_out,
        suspect=doubts,
        stages=stages,
        verdict=_overall([stage.verdict for stage in stages]),
        not_judged=tuple(not_judged(stages, tuple(before.stages), left_out, doubts)),
        same=same_programs(base, head),
    )


def compared_run(results: Results) -> ComparedRun:
    """Return what a comparison says about a run."""
    run = results.run
    return ComparedRun(run.id, run.started_at, run.status, results.experiment.spec_sha256, run.command)


def _pool(runs: Sequence[Results], side: str) -> _Pool:
    """Return the usable stages of a side, and why others are not usable."""
    pool = _Pool()
    for results in runs:
        for configuration in results.configurations:
            for stage in configuration.stages:
                if not stage.find and stage.status is not StageStatus.NOT_RUN:
                    run = results.run.id if len(runs) > 1 else ""
                    _add(pool, side, configuration, stage, run)
    return pool


def _add(pool: _Pool, side: str, configuration: ConfigurationResults, stage: Stage, run: str) -> None:
    key = (configuration.name, stage.name)
    reasons, doubts = "; ".join(stage.validity.reasons), stage.validity.doubts
    repeats = sum(other.name == stage.name for other in configuration.stages)
    repeat = stage.repeat if repeats > 1 else 0
    if not is_usable(stage):
        pool.left_out.append(LeftOut(side, *key, reasons or f"status {stage.status}", repeat, run, doubts))
        return
    if stage.validity.status is Validity.SUSPECT:
        pool.doubts.append(LeftOut(side, *key, reasons, repeat, run, doubts))
    pool.stages.setdefault(key, []).append(stage)
    pool.setups[key] = setup_of(configuration, stage)


def _shared(before: _Pool, after: _Pool) -> list[StageKey]:
    """Return the stages that both sides have; stages that differ are added to those left out.

    Raises:
        UsageError: There are none.
    """
    shared = []
    for key in after.stages:
        if key not in before.stages:
            continue
        old, new = before.setups[key], after.setups[key]
        if old != new:
            after.left_out.append(different(key, old, new))
        else:
            shared.append(key)
    if not shared:
        left_out = (*before.left_out, *after.left_out)
        raise UsageError(
            "the runs have no usable stage in common",
            hint="compare runs with the same load: change the system between them, not the load",
            details=(
                *(f"{it.side}, {it.configuration}, {it.stage}: {it.why}" for it in left_out),
                *_only_one_side_has(before, after),
            ),
        )
    return shared


def _only_one_side_has(before: _Pool, after: _Pool) -> Iterator[str]:
    """Yield the stages of each side whose names the other does not have, in a sentence."""
    for side, own, other in (("base", before, after), ("head", after, before)):
        names = [", ".join(key) for key in own.stages if key not in other.stages]
        if names:
            more = f"; and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
            yield f"only in the {side}: {'; '.join(names[:_MAX_SHOWN])}{more}"


def _compared_stages(
    shared: Sequence[StageKey], before: _Pool, after: _Pool, margin: float
) -> tuple[ComparedStage, ...]:
    subjects = [one for key in shared for one in _subjects(key, before.stages[key], after.stages[key])]
    share = _ERROR / (sum(one.weight * metric.weight for one in subjects for metric, _, _ in one.pairs) or 1)
    stages = []
    for one in subjects:
        metrics = tuple(
            compare_metric(
                metric,
                *sides,
                alpha=share * one.weight * metric.weight,
                margin=margin,
                few=one.part != WHOLE,
            )
            for metric, *sides in one.pairs
        )
        verdict = _overall([metric.verdict for metric in metrics])
        gaps = tuple(without_value(one.base, one.head))
        stages.append(ComparedStage(*one.key, metrics, verdict, gaps, **one.part._asdict()))
    return tuple(stages)


def _subjects(key: StageKey, base: Sequence[Stage], head: Sequence[Stage]) -> Iterator[_Subject]:
    """Yield a stage, then each request of its mix and each slice of its ramp.

    All requests together weigh as much as the stage, and so do all slices.
    """
    yield _Subject(key, WHOLE, base, head, 1)
    before, after = parts_of(base), parts_of(head)
    requests = sum(bool(part.request) for part in after)
    for part, stages in after.items():
        if part in before:
            weight = 1 / (requests if part.request else len(after) - requests)
            yield _Subject(key, part, before[part], stages, weight)


def _overall(verdicts: Sequence[ComparisonVerdict]) -> ComparisonVerdict:
    """Return the verdict over several verdicts: worse outweighs better."""
    return min(verdicts, key=_MOST_IMPORTANT_FIRST.index, default=ComparisonVerdict.EQUIVALENT)
