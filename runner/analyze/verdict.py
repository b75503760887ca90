"""What limits a stage: applies every rule and ranks what they find.

*Proven* needs a counter that cannot rise for another reason, or a counter-experiment. A full accept queue
proves that connections were dropped; if the app, its quota or the host had no CPU left, it is a
consequence of that and not the cause.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from runner.analyze.failure import failure
from runner.analyze.rules.across_machines import judge
from runner.analyze.rules.balance import balance_evidence
from runner.analyze.rules.errors import generator_limited, within_capacity
from runner.analyze.rules.generator_share import lost_beside_generator
from runner.analyze.rules.in_flight import Full, full, with_bound
from runner.analyze.rules.registry import RULES
from runner.analyze.rules.scenarios import step_evidence, step_phrase
from runner.analyze.rules.types import OWN_BOUND, Match
from runner.core.codes import Confidence, Limit, Role, StageStatus, Validity
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.limits import ACHIEVED
from runner.core.ramp import Ramp
from runner.core.stage_results import Stage, Verdict
from runner.core.units import percent

NOT_RUN: Final = Verdict(Limit.UNDETERMINED, Confidence.HINT, ())
"""The verdict of a stage that was not run."""
_LITTLE: Final = 0.95
"""Achieved share from which a shortfall may be chance."""
_MOST_CERTAIN_FIRST: Final = tuple(Confidence)


class Limited(NamedTuple):
    """The part of a ramp in which the service was at its limit.

    Attributes:
        level: At both ends of it.
        stage: The stage, with the CPU that was used in this part.
    """

    level: Ramp
    stage: Stage

    @property
    def levels(self) -> str:
        """Its levels in words."""
        if self.stage.users_per_s is not None:
            return f"from {self.level.begin:,.3g} to {self.level.to:,.3g} users/s"
        return f"from {self.level.begin:,.0f} to {self.level.to:,.0f} RPS"


def verdict(
    stage: Stage,
    cores: int | None,
    *,
    passed: bool = True,
    limited: Limited | None = None,
    max_in_flight: int | None = None,
) -> Verdict:
    """Return the limit of a stage: the first finding, with all other findings and what was ruled out.

    Args:
        stage: With its validity.
        cores: The host's number of cores; None if unknown.
        passed: Whether it also passed the conditions of its search, or its thresholds on times. A stage that
            achieved its rate but was too slow has reached a limit if one shows; otherwise it is within
            capacity.
        limited: Of a ramp: where it was at its limit; the rules judge this part.
        max_in_flight: Of the load; None if it is not known.
    """
    findings, ruled_out = _judge(stage, cores, passed=passed, limited=limited)
    is_judged = stage.validity.status is not Validity.INVALID
    bound = full(stage, max_in_flight) if max_in_flight and is_judged else None
    findings = [_of_bound(finding, stage, bound) for finding in findings] if bound else findings
    first = findings[0]
    return Verdict(first.code, first.confidence, tuple(findings), tuple(ruled_out))


def _judge(
    stage: Stage, cores: int | None, *, passed: bool, limited: Limited | None
) -> tuple[Sequence[Finding], Sequence[RuledOut]]:
    if stage.status is StageStatus.FAILED:
        (memory,) = judge([RULES[Limit.MEMORY]], stage, cores)
        return [memory.finding if isinstance(memory, Match) else _failed(stage)], []
    if stage.validity.status is Validity.INVALID:
        return lost_beside_generator(stage, cores) or [generator_limited(stage, cores)], []
    sustained = None if limited else within_capacity(stage)
    if sustained and stage.status is StageStatus.ABORTED:
        return [_cut_short()], []
    if sustained and passed:
        return [sustained], []
    judgements = judge(RULES.values(), limited.stage if limited else stage, cores)
    matches = [judgement for judgement in judgements if isinstance(judgement, Match)]
    findings = _ranked(matches)
    ruled_out = [judgement for judgement in judgements if isinstance(judgement, RuledOut)]
    if sustained and not any(match.explains for match in matches):
        return [sustained], []
    if limited:
        findings = [_at(limited, finding) for finding in findings]
    if not any(match.explains for match in matches):
        findings = [_undetermined_in(limited) if limited else _undetermined(stage), *findings]
    return _with_more(findings, limited.stage if limited else stage), ruled_out


def _with_more(findings: Sequence[Finding], stage: Stage) -> Sequence[Finding]:
    """Return the findings, the first with the slowest step of a scenario, and with unequal nodes."""
    first, *others = findings
    steps = () if first.code is Limit.ERROR else step_evidence(stage)  # refusals are not about time
    more = (*steps, *balance_evidence(stage))
    return [replace(first, evidence=(*first.evidence, *more)), *others]


def _of_bound(finding: Finding, stage: Stage, bound: Full) -> Finding:
    """Return a finding that names the load's own bound where nothing else shows what limits the stage.

    Requests that wait inside a service may fill the bound, or may be so few because of it.
    """
    if finding.code is Limit.APP_CONCURRENCY:
        return with_bound(finding, bound)
    if finding.code is not Limit.UNDETERMINED or stage.achieved is None:
        return finding
    what = "the users due were served" if stage.scenarios else "the target rate was achieved"
    summary = f"{percent(stage.achieved, 1)} of {what}: {bound.summary}, while nothing else was short"
    evidence = (*finding.evidence, bound.evidence)
    return replace(finding, summary=f"{summary}{step_phrase(stage)}", evidence=evidence, advice=bound.advice)


def _at(limited: Limited, finding: Finding) -> Finding:
    """Return a finding that says between which levels of the ramp it holds."""
    return replace(finding, summary=f"{finding.summary} ({limited.levels})")


def _undetermined_in(limited: Limited) -> Finding:
    finding = _undetermined(limited.stage)
    summary = f"the service was at its limit {limited.levels}, and no counter shows why"
    return replace(finding, summary=summary)


def _ranked(matches: Sequence[Match]) -> list[Finding]:
    """Return the findings, the most certain first; a busy host as a hint is the last of them.

    Of equals, what cannot explain the stage comes after what can.
    """
    causes = [match for match in matches if match.explains and not _is_consequence(match, matches)]
    limits = {match.finding.code for match in causes}
    ordered = sorted(matches, key=lambda match: not match.explains)
    findings = [replace(match.finding, confidence=_confidence(match, limits)) for match in ordered]
    return sorted(findings, key=_rank)


def _is_consequence(match: Match, matches: Sequence[Match]) -> bool:
    """Return whether a finding is the end of a queue that begins inside the service."""
    waited = any(it.finding.code is Limit.APP_CONCURRENCY for it in matches)
    return match.of_backlog and waited


def _rank(finding: Finding) -> tuple[int, bool]:
    hint_of_host = finding.confidence is Confidence.HINT and finding.code is Limit.HOST_CPU
    return _MOST_CERTAIN_FIRST.index(finding.confidence), hint_of_host


def _confidence(match: Match, limits: Collection[Limit]) -> Confidence:
    """Return how certain a finding is, given all limits that can be a cause."""
    rule, confidence = RULES[match.finding.code], match.finding.confidence
    if match.finding.code not in limits:
        return Confidence.HINT
    if not match.independent and not rule.follows.isdisjoint(limits):
        return Confidence.HINT
    if confidence is Confidence.PROVEN and not rule.doubted_by.isdisjoint(limits):
        return Confidence.LIKELY
    return confidence


def _undetermined_with_users(actual_rps: float) -> Finding:
    """Return the finding for users whose throughput no counter explains; they always reach some limit."""
    return Finding(
        Limit.UNDETERMINED,
        Confidence.HINT,
        f"the users got {actual_rps:,.0f} responses per second, and no counter shows what limits that",
        (Evidence("throughput", actual_rps, "1/s"),),
        "offer more users: if the throughput grows, nothing but their number limits it",
    )


def _failed(stage: Stage) -> Finding:
    """Return the finding for a system that failed: what happened to it, which is no limit of its rate."""
    advice = "read its last lines of output; if they explain nothing, read the kernel's log (dmesg)"
    return Finding(Limit.UNDETERMINED, Confidence.HINT, failure(stage), (), advice)


def _cut_short() -> Finding:
    """Return the finding for a stage that kept up until it was aborted."""
    summary = "the service kept up until the stage was aborted, which does not show that it sustains the rate"
    return Finding(Limit.UNDETERMINED, Confidence.HINT, summary, (), "let the stage run to its end")


def _undetermined(stage: Stage) -> Finding:
    achieved = stage.achieved
    if stage.users is not None and stage.actual_rps is not None:
        return _undetermined_with_users(stage.actual_rps)
    if achieved is None and stage.requests.succeeded:
        summary = "the stage was cut short, so it does not show whether the service keeps up"
        return Finding(Limit.UNDETERMINED, Confidence.HINT, summary, (), "let the stage run to its end")
    if achieved is None:
        return Finding(Limit.UNDETERMINED, Confidence.HINT, "nothing was measured", (), "run the stage again")
    what = "the users due were served" if stage.scenarios else "the target rate was achieved"
    summary = f"{percent(achieved, 1)} of {what}, and no counter shows why{step_phrase(stage)}"
    if stage.only_unfinished:
        summary = f"{percent(achieved, 1)} of {what}, the others were still under way when the stage ended"
        advice = "let the stage or its timeout last longer than a user takes, pauses included"
    elif stage.cpu_cores.get(Role.APP) is None:
        summary += "; the CPU and threads of the service were not observed"
        advice = "name the service's processes in topology.pids, or run Loadproof on the service's host"
    elif achieved >= _LITTLE:
        advice = "run the stage longer or repeat it: such a small shortfall may be chance"
    else:
        advice = "collect the service's own metrics (app.metrics), and read its log for this period"
    evidence = Evidence("achieved", achieved * 100, "%", ACHIEVED * 100, OWN_BOUND)
    return Finding(Limit.UNDETERMINED, Confidence.HINT, summary, (evidence,), advice)
