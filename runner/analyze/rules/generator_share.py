"""Stages that are invalid because the generator did not run for a moment, while most was lost otherwise.

Such a stage supports no conclusion, but the generator is not what limits it: what it did not send is a small
part of what was lost. What the counters show beside that are hints.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from runner.analyze.machines import machines
from runner.analyze.rules.across_machines import judge
from runner.analyze.rules.generator import advice_for, full_machines, stood_still
from runner.analyze.rules.registry import RULES
from runner.analyze.rules.types import Match
from runner.core.codes import Confidence, DoubtCode, Limit
from runner.core.findings import Evidence, Finding
from runner.core.stage_results import Stage
from runner.core.units import percent

_SMALL: Final = 0.25
"""Share of the losses up to which the generator is not the reason for them; our own bound."""
_OF_STALLS: Final = frozenset({DoubtCode.WORKER_LOST, DoubtCode.SENT_TOO_LATE, DoubtCode.NO_FILE_DESCRIPTOR})


def lost_beside_generator(stage: Stage, cores: int | None) -> list[Finding]:
    """Return why an invalid stage has no verdict, and what its counters hint at; empty for other stages.

    Args:
        stage: Invalid.
        cores: Of the runner's own machine; None if unknown.
    """
    share = _generators_share(stage)
    if share is None or share > _SMALL:
        return []
    hints = [
        replace(match.finding, confidence=Confidence.HINT)
        for match in judge(RULES.values(), stage, cores)
        if isinstance(match, Match)
    ]
    return [_no_verdict(stage, cores, share), *hints]


def _generators_share(stage: Stage) -> float | None:
    """Return which share of what was lost the generator may account for at most; None if not known."""
    counts = stage.scenarios or stage.requests
    known = stage.drops is not None and stage.longest_stall_s and counts.lost and stage.users is None
    others = {doubt.code for doubt in stage.validity.doubts} - _OF_STALLS
    if not known or others or not stage.validity.doubts or stage.drops is None:
        return None
    stalled = min(1.0, stage.longest_stall_s / stage.window_s) * counts.scheduled
    paused = max(stage.drops.too_late, stalled)
    own = stage.drops.total - stage.drops.too_late + paused + counts.failures.get("no_fd", 0)
    return own / counts.lost


def _no_verdict(stage: Stage, cores: int | None, share: float) -> Finding:
    counts, what = stage.scenarios or stage.requests, "users" if stage.scenarios else "requests"
    bound = counts.dropped - (stage.drops.total if stage.drops else 0)
    where = f" on {stage.longest_stall_on}" if stage.longest_stall_on else ""
    summary = (
        f"the stage is invalid because the generator{where} did not run for {stage.longest_stall_s:.1f} s, "
        f"but that accounts for at most {percent(share)} of the {counts.lost:,} {what} that were lost"
    )
    evidence = [*stood_still(stage)]
    if bound > 0:
        summary += f": {bound:,} were dropped because max_in_flight was reached"
        evidence.insert(0, Evidence("dropped because max_in_flight was reached", bound, what))
    again = advice_for(stage, full_machines(machines(stage, cores)))
    advice = f"{again}; if as many are lost again, the generator is not the reason"
    return Finding(Limit.UNDETERMINED, Confidence.HINT, summary, tuple(evidence), advice)
