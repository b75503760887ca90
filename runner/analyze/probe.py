"""Whether a search's probe sustained its rate, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.analyze.capacity_text import failed_condition, fell_short, lost
from runner.analyze.thresholds import is_measured
from runner.core.codes import StageStatus, Validity
from runner.core.judgements import ThresholdResult
from runner.core.limits import ACHIEVED, TOLERATED_ERRORS
from runner.core.measured import Measured
from runner.core.metrics import lost_share, lost_share_of_scenarios
from runner.core.stage_results import Stage
from runner.experiment.model import Threshold

_ACHIEVED: Final = "achieved"
_ABOUT_LOSSES: Final = frozenset({"errors", "dropped", _ACHIEVED})
_ABOUT_LOST_USERS: Final = frozenset({"scenario_errors", _ACHIEVED})


def is_credible(stage: Stage) -> bool:
    """Return whether a probe may be believed at all."""
    return stage.validity.status is not Validity.INVALID


def why_undecided(stage: Stage, conditions: Sequence[ThresholdResult]) -> str | None:
    """Return why a probe can be judged neither sustained nor failed; None if it can."""
    if stage.status is StageStatus.ABORTED:
        return "the probe was aborted"
    if stage.actual_rps is None:
        return stage.events[0].message if stage.events else "the probe could not start"
    unmeasured = [condition.expr for condition in conditions if not is_measured(condition)]
    if unmeasured and stage.requests.succeeded:
        return f"the metric in {unmeasured[0]} was not measured"
    return None


def failure(stage: Stage, until: Sequence[Threshold], conditions: Sequence[ThresholdResult]) -> str:
    """Return why a rate was not sustained; empty if it was."""
    if stage.validity.status is Validity.INVALID:
        return stage.validity.reasons[0]
    pairs = zip(until, conditions, strict=True)
    failed = [failed_condition(condition, result) for condition, result in pairs if not result.ok]
    if not failed and loses(until, stage):
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


def loses(until: Sequence[Threshold], stage: Stage) -> bool:
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
