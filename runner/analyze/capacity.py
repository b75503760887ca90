"""The capacity that a search found: its result, the rate that failed, and the knee of the latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET

from runner.analyze.capacity_text import failed_probe, milliseconds, search_result
from runner.analyze.knee import MIN_POINTS, knee
from runner.analyze.search_progress import SearchProgress
from runner.analyze.thresholds import part_name
from runner.core.codes import RateUnit, SearchEnding, Validity
from runner.core.judgements import Probe
from runner.core.metrics import LATENCIES, METRICS, SCENARIO_DURATION
from runner.core.repeat_results import Capacity, Knee, ProbeSummary
from runner.core.stage_results import Stage
from runner.experiment.model import Find
from runner.experiment.stage import rate_name

KNEE_METHOD: Final = (
    "Kneedle (Satopää, Albrecht, Irwin and Raghavan, 2011), sensitivity 1, on the probes without smoothing"
)


def capacity(progress: SearchProgress) -> Capacity:
    """Return what a search found."""
    find, search, stages = progress.find.find, progress.search, progress.stages
    latency, request = _latency(find, stages)
    limit = next((stage for stage in stages if _has_failed(stage, search.failed)), None)
    bend = _knee(stages, latency, request, search.unit)
    ending = _ending(progress, limit)
    result = search_result(search, stages, ending, progress.undecided or "")
    sentences = (result, failed_probe(limit, search.unit) if limit else "", bend.sentence)
    return Capacity(
        stage=progress.find.name,
        repeat=progress.trial.repeat,
        holds=tuple(condition.expr for condition in find.until),
        min_rps=find.lowest,
        max_rps=find.highest,
        precision=find.precision,
        ending=ending,
        rps=search.sustained if ending in {SearchEnding.FOUND, SearchEnding.BOUNDED} else None,
        held_rps=search.sustained,
        failed_rps=search.failed,
        limited_by=limit.verdict.code if limit else None,
        latency=latency,
        probes=tuple(
            _summary(stage, stage.find, _p95(stage, latency, request)) for stage in stages if stage.find
        ),
        knee=bend,
        sentence=" ".join(filter(None, sentences)),
        request=request or UNSET,
        unit=search.unit,
    )


def _ending(progress: SearchProgress, limit: Stage | None) -> SearchEnding:
    """Return how a search ended, given the lowest rate that failed."""
    if progress.undecided is not None:
        return SearchEnding.STOPPED
    ending = progress.search.ending
    is_masked = limit is not None and limit.find is not None and limit.find.mask is not UNSET
    has_bounds = progress.search.sustained is not None and ending in {
        SearchEnding.FOUND,
        SearchEnding.BOUNDED,
    }
    return SearchEnding.MASKED if has_bounds and is_masked else ending


def _has_failed(stage: Stage, rate: float | None) -> bool:
    return stage.rate == rate and stage.find is not None and stage.find.holds is False


def _summary(stage: Stage, probe: Probe, p95_ms: float | None) -> ProbeSummary:
    return ProbeSummary(
        rps=stage.rate,
        order=stage.order,
        ok=probe.holds,
        p95_ms=p95_ms,
        achieved=stage.achieved,
        why=probe.why,
        verdict=stage.verdict.code,
        validity=stage.validity.status,
        mask=probe.mask,
    )


def _p95(stage: Stage, latency: str, request: str) -> float | None:
    measured = stage.parts.get(part_name(stage, request)) if request else stage
    return METRICS[f"{latency}.p95"].read(measured) if measured else None


def _latency(find: Find, stages: Sequence[Stage]) -> tuple[str, str]:
    """Return the latency to show, and of which request of a mix; empty for all.

    It is the first one in a condition, else the response time if that is known.
    """
    known = not stages or any(stage.response_time_ms.p95 is not None for stage in stages)
    named = ((condition.metric.partition(".")[0], condition.request) for condition in find.until)
    names = {kind.name for kind in (*LATENCIES, SCENARIO_DURATION)}
    otherwise = ("response_time" if known else "duration", "")
    if any(stage.scenarios for stage in stages):
        otherwise = (SCENARIO_DURATION.name, "")
    return next(((name, request) for name, request in named if name in names), otherwise)


def _knee(stages: Sequence[Stage], latency: str, request: str, unit: RateUnit) -> Knee:
    points = {
        stage.rate: p95
        for stage in stages
        if stage.validity.status is not Validity.INVALID
        and (p95 := _p95(stage, latency, request)) is not None
    }
    rate = knee(list(points.items()))
    sustained = any(stage.find and stage.find.holds for stage in stages if stage.rate == rate)
    shown = latency.replace("_", " ") + (f" of {request}" if request else "")
    name = "" if rate is None else rate_name(rate, unit)
    sentence = _knee_sentence(name, rate, points, shown, sustained=sustained)
    return Knee(rate, None if rate is None else points[rate], KNEE_METHOD, sentence)


def _knee_sentence(
    name: str, rate: float | None, points: Mapping[float, float], latency: str, *, sustained: bool
) -> str:
    if rate is not None:
        where = f"The knee of the p95 {latency} is at {name} ({milliseconds(points[rate])} ms)"
        return f"{where}." if sustained else f"{where}, a rate that was not sustained."
    if len(points) < MIN_POINTS:
        return f"At least {MIN_POINTS} valid probes are needed to find a knee."
    return f"The p95 {latency} has no knee between the tested rates."
