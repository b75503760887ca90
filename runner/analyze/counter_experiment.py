"""What a counter-experiment shows about a verdict: it confirms it, refutes it, or neither.

`runner.analyze.proof_rates` says why its blocks alternate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from runner.analyze.proof_plan import DECISIVE
from runner.analyze.proof_rates import LIFTED, Rates, block_rates
from runner.analyze.proof_signs import (
    Sides,
    all_sustained,
    enlarged_what_was_used_up,
    generator_is_saturated,
    is_consistent,
    is_usable,
    median_block,
    new_limit,
    relieved_p95,
    saturated_role,
)
from runner.analyze.proof_text import Effect, sentence
from runner.analyze.statistics import rounded
from runner.core.codes import Confidence, Limit, ProofAnswer
from runner.core.stage_results import Block, CounterExperiment, Stage, Verdict
from runner.experiment.changes import Change
from runner.experiment.model import Configuration

ENOUGH: Final = 0.5
"""Share of the gain that a change promises from which it is large enough for its claim."""
SAVED: Final = 0.2
"""Gain from which a cost was a substantial part of what used up the CPU."""


def counter_experiment(
    stage: Stage, blocks: Sequence[tuple[bool, Stage]], change: Change, configuration: Configuration
) -> CounterExperiment:
    """Return what the blocks of a counter-experiment show about a stage's verdict.

    Args:
        stage: The stage.
        blocks: Whether each one had the change, and what it measured, in order.
        change: The change.
        configuration: The stage's, without the change.
    """
    usable = [(changed, block) for changed, block in blocks if is_usable(block)]
    sides = Sides(
        tuple(block for changed, block in usable if not changed),
        tuple(block for changed, block in usable if changed),
    )
    rates = block_rates(usable)
    shown = median_block(sides.after) or next((block for changed, block in blocks if changed), blocks[-1][1])
    answer, why = _answer(stage, sides, rates, change, configuration)
    if not all(sides):
        why = _why_unusable([block for _, block in blocks])
    effect = _effect(stage, sides, rates)
    return CounterExperiment(
        change=change.name,
        words=change.words,
        cause=change.cause,
        actual_rps=(rounded(effect.before), rounded(effect.after)),
        lift=rounded(rates.gain),
        answer=answer,
        sentence=sentence(stage, effect, change, answer, why),
        trial=shown,
        blocks=tuple(_block(changed, block) for changed, block in blocks),
        spread=rounded(rates.spread),
        target_rps=blocks[0][1].target_rps,
    )


def _effect(stage: Stage, sides: Sides, rates: Rates) -> Effect:
    sustained = sides.after[0].target_rps if all_sustained(sides.after) else None
    relieved = None if rates.is_clear else relieved_p95(sides)
    then = new_limit(stage, sides)
    return Effect(rates.base, rates.reached, rates.gain, rates.spread, relieved, then, sustained)


def concluded(verdict: Verdict, experiments: Sequence[CounterExperiment]) -> Verdict:
    """Return a verdict in the light of its counter-experiments.

    A confirmed verdict becomes *proven*, a refuted one ``undetermined`` (its limit is then `withdrawn`).
    """
    if not experiments:
        return verdict
    first = next((one for one in experiments if one.answer in DECISIVE), experiments[0])
    others = tuple(one for one in experiments if one is not first)
    verdict = replace(verdict, counter_experiment=first, other_experiments=others)
    if verdict.code is Limit.UNDETERMINED or first.answer not in DECISIVE:
        return verdict
    if first.answer is ProofAnswer.CONFIRMED:
        return replace(verdict, confidence=Confidence.PROVEN)
    return replace(verdict, withdrawn=verdict.code, code=Limit.UNDETERMINED, confidence=Confidence.HINT)


def _why_unusable(blocks: Sequence[Stage]) -> str:
    """Return why the first block that failed did, or that there are not enough."""
    reasons = (block.validity.reasons for block in blocks if not is_usable(block))
    return next((why[0] for why in reasons if why), "the run ended before the blocks were complete")


def _block(changed: bool, block: Stage) -> Block:
    return Block(changed, block.order, block.actual_rps, block.verdict.code, is_usable(block))


def _answer(
    stage: Stage, sides: Sides, rates: Rates, change: Change, configuration: Configuration
) -> tuple[ProofAnswer, str]:
    """Return the answer, and for an inconclusive one the reason to end the sentence with."""
    if why := _flaw(stage, sides):
        return ProofAnswer.INCONCLUSIVE, why
    if rates.is_clear or relieved_p95(sides):
        return _lifted(stage, sides, rates, change, configuration)
    if all_sustained(sides.before):
        why = "the limit did not appear in the blocks: without the change, they sustained their rate"
    elif all_sustained(sides.after):
        why = "the target rate was achieved and may hide a larger effect"
    elif rates.most >= _least(change, configuration) or (rates.gain or 0.0) >= LIFTED:
        why = "the blocks without the change differ so much that they can hide an effect"
    elif stage.verdict.code in change.must_lift and enlarged_what_was_used_up(stage, sides, change):
        return ProofAnswer.REFUTED, ""
    else:
        return ProofAnswer.NO_EFFECT, ""
    return ProofAnswer.INCONCLUSIVE, why


def _least(change: Change, configuration: Configuration) -> float:
    """Return the smallest gain that would have confirmed a limit."""
    return SAVED if change.saves else ENOUGH * change.adds(configuration)


def _flaw(stage: Stage, sides: Sides) -> str:
    """Return why the blocks prove nothing at all; empty if they can."""
    if not all(sides):
        return "there are no valid blocks of both sides"
    if generator_is_saturated(stage):
        return "the generator itself was almost saturated"
    if any(block.verdict.code is Limit.GENERATOR for block in sides.after):
        return "the generator limits the blocks with the change"
    return ""


def _lifted(
    stage: Stage, sides: Sides, rates: Rates, change: Change, configuration: Configuration
) -> tuple[ProofAnswer, str]:
    """Return whether a clear gain is of the right kind and large enough for what the verdict claims."""
    if not is_consistent(stage, sides):
        return (
            ProofAnswer.INCONCLUSIVE,
            "requests did not cost less CPU and the system did not use more of it",
        )
    gain = rates.gain
    large = gain is None or gain >= ENOUGH * change.adds(configuration)
    saved = gain is not None and change.saves and saturated_role(stage.verdict.code) and gain >= SAVED
    if large or saved or all_sustained(sides.after) or new_limit(stage, sides):
        return ProofAnswer.CONFIRMED, ""
    if stage.verdict.code is Limit.UNDETERMINED:
        return ProofAnswer.CONFIRMED, ""  # it claims no more than to be a part of the limit
    return ProofAnswer.INCONCLUSIVE, "lifting the limit would raise throughput by more"
