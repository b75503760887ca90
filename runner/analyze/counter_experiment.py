"""What a counter-experiment shows about a verdict: it confirms it, refutes it, or neither."""

from __future__ import annotations

from math import inf, isinf
from typing import Final

from msgspec.structs import replace

from runner.analyze.capacity_text import milliseconds
from runner.analyze.rules.registry import RULES
from runner.analyze.statistics import rounded
from runner.analyze.validity import GENERATOR_SATURATED
from runner.core.codes import Cause, Confidence, Limit, ProofAnswer, Role, StageStatus, Validity, cpu_used_up
from runner.core.results import CounterExperiment, Stage, Verdict
from runner.core.units import percent
from runner.experiment.counter_experiments import Change

LIFTED: Final = 0.10
"""Relative gain in throughput from which the change lifted the limit; Loadproof's own bound."""
NOT_LIFTED: Final = 0.03
"""Gain up to which it did not."""
RELIEVED: Final = 0.5
"""A p95 response time that falls to this share of itself shows that a queue is gone; our own bound."""


def prove(stage: Stage, counter: Stage, change: Change) -> Verdict:
    """Return a stage's verdict in the light of `counter`, the same stage with one change.

    A confirmed verdict becomes *proven*, a refuted one ``undetermined`` (its limit is then `withdrawn`).
    """
    before, after = stage.actual_rps, counter.actual_rps
    lift = _lift(before, after)
    answer = ProofAnswer.INCONCLUSIVE
    sentence = f"The counter-experiment ({change.words}) could not be measured."
    if lift is not None:
        answer, why = _answer(stage, counter, lift, change)
        sentence = _sentence(stage, counter, lift, change, answer) + f"{why}."
    experiment = CounterExperiment(
        change=change.name,
        words=change.words,
        cause=change.cause,
        actual_rps=(before, after),
        lift=rounded(lift),
        answer=answer,
        sentence=sentence,
        trial=counter,
    )
    return _applied(replace(stage.verdict, counter_experiment=experiment), answer)


def _lift(before: float | None, after: float | None) -> float | None:
    """Return the relative gain, infinite from nothing to something; None if a side was not measured."""
    if before is None or after is None:
        return None
    if before == 0:
        return inf if after else 0.0
    return after / before - 1


def _applied(verdict: Verdict, answer: ProofAnswer) -> Verdict:
    if verdict.code is Limit.UNDETERMINED or answer is ProofAnswer.INCONCLUSIVE:
        return verdict
    if answer is ProofAnswer.CONFIRMED:
        return replace(verdict, confidence=Confidence.PROVEN)
    return replace(verdict, withdrawn=verdict.code, code=Limit.UNDETERMINED, confidence=Confidence.HINT)


def _answer(stage: Stage, counter: Stage, lift: float, change: Change) -> tuple[ProofAnswer, str]:
    """Return the answer, and for an inconclusive one the reason to end the sentence with."""
    if why := _flaw(stage, counter):
        return ProofAnswer.INCONCLUSIVE, why
    sustained = counter.verdict.code is Limit.WITHIN_CAPACITY
    lifted = lift >= LIFTED or (sustained and (lift > NOT_LIFTED or _is_relieved(stage, counter)))
    if lifted and _is_consistent(stage, counter):
        return ProofAnswer.CONFIRMED, ""
    if lifted:
        why = ", because requests did not cost less CPU and the system did not use more of it"
    elif sustained:
        why = ", because the target rate was achieved and may hide a larger effect"
    elif lift > NOT_LIFTED or counter.verdict.code is Limit.GENERATOR:
        why = ""
    elif not change.clean:
        why = ", because the change also adds a network hop"
    else:
        return ProofAnswer.REFUTED, ""
    return ProofAnswer.INCONCLUSIVE, why


def _flaw(stage: Stage, counter: Stage) -> str:
    """Return why the two stages prove nothing at all; empty if they can."""
    if _is_saturated(stage):
        return ", because the generator itself was almost saturated"
    if counter.status is not StageStatus.COMPLETE or counter.validity.status is Validity.INVALID:
        return ", because the second run is not valid"
    return ""


def _saturated_role(limit: Limit) -> Role | None:
    """Return the role whose CPU is saturated at a limit."""
    rule = RULES.get(limit)
    return rule.saturated_role if rule else None


def _is_consistent(stage: Stage, counter: Stage) -> bool:
    """Return False if a CPU limit was lifted without cheaper requests or more CPU: it was another limit."""
    role = _saturated_role(stage.verdict.code)
    if role is None:
        return True
    cost_before, cost_after = (side.cpu_us_per_request.get(role) for side in (stage, counter))
    used_before, used_after = (side.cpu_cores.get(role) for side in (stage, counter))
    if cost_before is None or used_before is None:
        return True
    cheaper = cost_after is None or cost_after < cost_before * 0.97
    more = used_after is not None and used_after.avg > used_before.avg * 1.03
    return cheaper or more


def _is_relieved(stage: Stage, counter: Stage) -> bool:
    """Return whether the queue of a stage that was just short of its target is gone."""
    before, after = stage.response_time_ms.p95, counter.response_time_ms.p95
    return before is not None and after is not None and after <= before * RELIEVED


def _is_saturated(stage: Stage) -> bool:
    """Return whether the generator may have been the limit, so that a change that relieves it proves nothing.

    A limit of CPU rests on its own counter, whatever the generator did.
    """
    usage, limit = stage.cpu_cores.get(Role.GENERATOR), stage.verdict.code
    if limit is Limit.GENERATOR or _saturated_role(limit) or stage.engine != "builtin":
        return False
    return bool(usage and stage.workers and usage.avg >= GENERATOR_SATURATED * stage.workers)


def _sentence(stage: Stage, counter: Stage, lift: float, change: Change, answer: ProofAnswer) -> str:
    """Return the sentence without its end."""
    effect = f"{change.words} {_effect(stage, counter, lift, answer)}"
    conclusion = {
        ProofAnswer.CONFIRMED: f"{change.cause} is confirmed{_as_what(stage.verdict.code, change.cause)}",
        ProofAnswer.REFUTED: f"{change.cause} is refuted as the limit",
        ProofAnswer.INCONCLUSIVE: f"this neither confirms nor refutes {change.cause}",
    }[answer]
    return f"{effect[0].upper()}{effect[1:]}: {conclusion}"


def _effect(stage: Stage, counter: Stage, lift: float, answer: ProofAnswer) -> str:
    before, after = f"{stage.actual_rps or 0:,.0f}", f"{counter.actual_rps or 0:,.0f}"
    if answer is ProofAnswer.CONFIRMED and lift <= NOT_LIFTED:
        return (
            f"reduced the p95 response time from {milliseconds(stage.response_time_ms.p95 or 0.0)} to "
            f"{milliseconds(counter.response_time_ms.p95 or 0.0)} ms at {after} RPS, the whole target rate"
        )
    if isinf(lift):
        return f"increased throughput from 0 to {after} RPS"
    change = percent(lift, signed=True)
    if abs(lift) <= NOT_LIFTED:
        return f"left throughput almost unchanged, at {before} and {after} RPS ({change})"
    return f"{'increased' if lift > 0 else 'decreased'} throughput from {before} to {after} RPS ({change})"


def _as_what(limit: Limit, cause: Cause) -> str:
    if whose := cpu_used_up(limit, cause):
        return f" as what uses up {whose}"
    if limit is Limit.UNDETERMINED:
        return " as a part of the limit, although no counter shows how"
    return " as the limit"
