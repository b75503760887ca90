"""The capacity that a search found: which rates were sustained, why others failed, and what follows.

A search has no state of its own. It is replayed from the facts of its probes, so an interrupted run and
a report made from its journal give the same result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.capacity_text import (
    disturbed_probe,
    failed_condition,
    failed_probe,
    fell_short,
    lost,
    milliseconds,
    search_result,
)
from runner.analyze.knee import MIN_POINTS, knee
from runner.analyze.masked_probe import doubts_of, mask
from runner.analyze.thresholds import evaluate, is_measured, part_name
from runner.core.codes import RateUnit, SearchEnding, StageStatus, Validity
from runner.core.facts import TrialFacts
from runner.core.judgements import Probe, ThresholdResult
from runner.core.limits import ACHIEVED, TOLERATED_ERRORS
from runner.core.measured import Measured
from runner.core.metrics import LATENCIES, METRICS, SCENARIO_DURATION, lost_share, lost_share_of_scenarios
from runner.core.repeat_results import Capacity, Knee, ProbeSummary
from runner.core.stage_results import Stage
from runner.experiment.capacity_search import Search
from runner.experiment.model import Find, FindStage, Threshold
from runner.experiment.stage import rate_name
from runner.experiment.trials import Trial, next_probe, search_of

_ACHIEVED: Final = "achieved"
_ABOUT_LOSSES: Final = frozenset({"errors", "dropped", _ACHIEVED})
_ABOUT_LOST_USERS: Final = frozenset({"scenario_errors", _ACHIEVED})
StageOf: TypeAlias = Callable[[Trial, TrialFacts], Stage]

KNEE_METHOD: Final = (
    "Kneedle (Satopää, Albrecht, Irwin and Raghavan, 2011), sensitivity 1, on the probes without smoothing"
)


@dataclasses.dataclass(frozen=True, slots=True)
class SearchProgress:
    """A search as far as its facts go.

    Attributes:
        stages: The probes that were run, in order, each with its `find`.
        undecided: Why the last probe could not be judged; None if it could.
    """

    trial: Trial
    find: FindStage
    search: Search
    stages: tuple[Stage, ...] = ()
    undecided: str | None = None

    @property
    def upcoming(self) -> Trial | None:
        """The next probe; None if the search is over."""
        return None if self.undecided is not None else next_probe(self.trial, self.search, len(self.stages))

    def after(self, probe: Trial, stage: Stage) -> SearchProgress:
        """Return the search after its upcoming probe."""
        conditions = evaluate(self.find.find.until, stage)
        undecided = _undecided(stage, conditions)
        search, sustained, why = (
            self._judged(stage, conditions) if undecided is None else (self.search, None, undecided)
        )
        hidden_by = mask(stage) if sustained is False else None
        why = "; ".join((why, *doubts_of(stage, hidden_by))) if _is_credible(stage) else why
        tried = Probe(self.find.name, probe.probe, sustained, why, conditions, mask=hidden_by or UNSET)
        stages = (*self.stages, replace(stage, find=tried))
        return dataclasses.replace(self, search=search, stages=stages, undecided=undecided)

    def _judged(self, stage: Stage, conditions: Sequence[ThresholdResult]) -> tuple[Search, bool | None, str]:
        """Return the search after a probe, whether its rate was sustained, and why not."""
        until, valid = self.find.find.until, _is_credible(stage)
        kept_up = not _loses(until, stage) and insufficient_share(until, stage) is None
        if valid and all(condition.ok for condition in conditions) and kept_up:
            return self.search.after(sustained=True), True, ""
        if (repeating := self._repeating(stage)) is not None:
            return repeating, None, disturbed_probe(stage)
        return self.search.after(sustained=False), False, _failure(stage, until, conditions)

    def _repeating(self, stage: Stage) -> Search | None:
        """Return the search that tries a rate once more; None if its failure counts.

        A rate that was sustained in spite of other programs is sustained. One that failed beside them may
        have failed because of them.
        """
        before = self.stages[-1] if self.stages else None
        is_repeat = before is not None and before.find is not None and before.find.holds is None
        return self.search.without_probe() if stage.validity.disturbed and not is_repeat else None


def _is_credible(stage: Stage) -> bool:
    return stage.validity.status is not Validity.INVALID


def replay(trial: Trial, facts: Mapping[int, TrialFacts], stage_of: StageOf) -> SearchProgress | None:
    """Return how far a search is, from the facts by order; None for a trial that is no search."""
    search = search_of(trial)
    if search is None or trial.find is None:
        return None
    progress = SearchProgress(trial, trial.find, search)
    while (probe := progress.upcoming) is not None and probe.order in facts:
        progress = progress.after(probe, stage_of(probe, facts[probe.order]))
    return progress


def _undecided(stage: Stage, conditions: Sequence[ThresholdResult]) -> str | None:
    """Return why a probe can be judged neither sustained nor failed; None if it can."""
    if stage.status is StageStatus.ABORTED:
        return "the probe was aborted"
    if stage.actual_rps is None:
        return stage.events[0].message if stage.events else "the probe could not start"
    unmeasured = [condition.expr for condition in conditions if not is_measured(condition)]
    if unmeasured and stage.requests.succeeded:
        return f"the metric in {unmeasured[0]} was not measured"
    return None


def _failure(stage: Stage, until: Sequence[Threshold], conditions: Sequence[ThresholdResult]) -> str:
    """Return why a rate was not sustained; empty if it was."""
    if stage.validity.status is Validity.INVALID:
        return stage.validity.reasons[0]
    pairs = zip(until, conditions, strict=True)
    failed = [failed_condition(condition, result) for condition, result in pairs if not result.ok]
    if not failed and _loses(until, stage):
        failed.append(lost(_lost_share(until, stage), users=stage.scenarios is not None))
    if not failed and (share := insufficient_share(until, stage)) is not None:
        failed.append(fell_short(share))
    return "; ".join(failed)


def insufficient_share(until: Sequence[Threshold], stage: Stage) -> float | None:
    """Return the share of its rate that was achieved, where that is too little; None where it is enough.

    Of a mix, the lowest share of those requests that have no condition on `achieved`. What was lost is judged
    apart: a queue that grows loses nothing, and passes conditions on latency in a short probe.
    """
    covered = {condition.request for condition in until if condition.metric == _ACHIEVED}
    if "" in covered or stage.achieved is None:
        return None
    parts = stage.scenario_parts if stage.scenarios else stage.parts
    judged = [part for name, part in parts.items() if name not in covered] if covered else [stage]
    short = [part.achieved for part in judged if part.achieved is not None and _queued(part)]
    return min(short, default=None)


def _queued(part: Measured) -> bool:
    """Return whether less was achieved than what was lost explains."""
    lost_here = (lost_share_of_scenarios(part) if part.scenarios else lost_share(part)) or 0.0
    return (part.achieved or 0.0) + lost_here < ACHIEVED


def _loses(until: Sequence[Threshold], stage: Stage) -> bool:
    """Return whether a probe lost too many requests or users that no condition about losses covers."""
    return _lost_share(until, stage) >= TOLERATED_ERRORS


def _lost_share(until: Sequence[Threshold], stage: Stage) -> float:
    """Return the share of the requests that were lost, of those that no condition about losses covers.

    With scenarios, it is that of the users who did not complete theirs.
    """
    about = _ABOUT_LOSSES if stage.scenarios is None else _ABOUT_LOST_USERS
    covered = {condition.request for condition in until if condition.metric in about}
    if "" in covered:
        return 0.0
    if stage.scenarios is not None:
        parts = [part for name, part in stage.scenario_parts.items() if name not in covered]
        runs = [part.scenarios for part in parts if part.scenarios]
        due = sum(run.scheduled for run in runs)
        return sum(run.lost for run in runs) / due if due else 0.0
    if not covered:
        return lost_share(stage) or 0.0
    others = [part.requests for name, part in stage.parts.items() if name not in covered]
    scheduled = sum(requests.scheduled for requests in others)
    return sum(requests.lost for requests in others) / scheduled if scheduled else 0.0


def probe_stages(progress: SearchProgress) -> tuple[Stage, ...]:
    """Return a search's stages, with the two that its result rests on marked.

    The experiment's thresholds apply only to the highest sustained rate.
    """
    sustained, failed = progress.search.sustained, progress.search.failed
    return tuple(
        replace(
            stage,
            find=replace(
                stage.find,
                decides=stage.find.holds is not None and stage.rate in {sustained, failed},
            ),
            thresholds=stage.thresholds if stage.find.holds and stage.rate == sustained else (),
        )
        for stage in progress.stages
        if stage.find
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
