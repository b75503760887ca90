"""The sentence that a counter-experiment ends in: the effect of its change, and what that says."""

from __future__ import annotations

from typing import NamedTuple

from runner.analyze.capacity_text import milliseconds
from runner.core.codes import Cause, Limit, ProofAnswer, cpu_used_up
from runner.core.stage_results import Stage, Verdict
from runner.core.units import percent
from runner.experiment.changes import Change

ALMOST_UNCHANGED = 0.03
"""Gain up to which throughput is called almost unchanged."""


class Effect(NamedTuple):
    """What a change did to a stage.

    Attributes:
        before: Mean throughput of the neighbouring blocks without the change; None where there are none.
        after: With the change.
        gain: Relative gain; None from nothing to something.
        spread: Of the blocks without the change; None where it is not known.
        p95_ms: Response time without and with the change, of a queue that is gone; None for another effect.
        then: The verdict of the changed blocks; None where it says nothing new.
        sustained: The rate that the changed blocks sustained; None if they did not.
    """

    before: float | None
    after: float | None
    gain: float | None
    spread: float | None
    p95_ms: tuple[float, float] | None
    then: Verdict | None
    sustained: float | None


def sentence(stage: Stage, effect: Effect, change: Change, answer: ProofAnswer, why: str) -> str:
    """Return one sentence with a capital and a full stop; `why` is the reason of an inconclusive answer."""
    if effect.before is None or effect.after is None:
        return f"The counter-experiment ({change.words}) could not be measured, because {why}."
    text = f"{change.words} {_effect(effect, effect.before, effect.after)}"
    conclusion = {
        ProofAnswer.CONFIRMED: f"{change.cause} is confirmed{_as_what(stage.verdict.code, change.cause)}"
        f"{_then(effect)}",
        ProofAnswer.REFUTED: f"{change.cause} is refuted as the limit",
        ProofAnswer.NO_EFFECT: "it did not lift the limit",
        ProofAnswer.INCONCLUSIVE: f"this neither confirms nor refutes {change.cause}, because {why}",
    }[answer]
    return f"{text[0].upper()}{text[1:]}: {conclusion}."


def _effect(effect: Effect, before: float, after: float) -> str:
    rates = f"from {before:,.0f} to {after:,.0f} RPS"
    if effect.gain is None:
        return f"left throughput at {after:,.0f} RPS" if after <= before else f"increased throughput {rates}"
    change = percent(effect.gain, signed=True)
    if effect.spread is not None:
        change += f"; without it, equal blocks differ by {percent(effect.spread)}"
    if effect.p95_ms is not None:
        slow, fast = map(milliseconds, effect.p95_ms)
        whole = f"{after:,.0f} RPS, the whole target rate"
        return f"reduced the p95 response time from {slow} to {fast} ms at {whole}"
    if abs(effect.gain) <= ALMOST_UNCHANGED:
        return f"left throughput almost unchanged, at {before:,.0f} and {after:,.0f} RPS ({change})"
    return f"{'increased' if effect.gain > 0 else 'decreased'} throughput {rates} ({change})"


def _as_what(limit: Limit, cause: Cause) -> str:
    if whose := cpu_used_up(limit, cause):
        return f" as what uses up {whose}"
    if limit is Limit.UNDETERMINED:
        return " as a part of the limit, although no counter shows how"
    return " as the limit"


def _then(effect: Effect) -> str:
    """Return what limits the changed system instead; empty where nothing new does."""
    if effect.then is not None:
        service = effect.then.findings[0].service
        return f"; then it is {effect.then.code}{f' ({service})' if service else ''}"
    if effect.sustained is not None and effect.p95_ms is None:
        return f"; it then sustained all of {effect.sustained:,.0f} RPS"
    return ""
