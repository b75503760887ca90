"""What a counter-experiment shows about a verdict: it confirms it, refutes it, or neither.

The machine's speed drifts, so a single comparison proves little. Blocks without and with the change
alternate; a gain counts only if it is clear of the spread of all blocks without the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median_low
from typing import Final, NamedTuple

from msgspec.structs import replace

from runner.analyze.proof_plan import DECISIVE
from runner.analyze.proof_text import Effect, sentence
from runner.analyze.rules.cpu_bounds import THROTTLED, throttled_shares
from runner.analyze.rules.registry import RULES
from runner.analyze.statistics import rounded
from runner.analyze.validity import GENERATOR_SATURATED
from runner.core.codes import Cause, Confidence, Limit, ProofAnswer, Role, StageStatus, Validity
from runner.core.stage_results import Block, CounterExperiment, Stage, Verdict
from runner.experiment.counter_experiments import Change
from runner.experiment.model import Configuration

LIFTED: Final = 0.10
"""Relative gain in throughput from which a change can have lifted a limit; Loadproof's own bound."""
NOISE: Final = 2.0
"""Gain ÷ spread of the blocks without the change from which it is no drift. With a drift of up to 1.8 within
minutes, an unchanged limit passes in less than 1 % of counter-experiments, and twice the capacity in more
than 90 % (`tests/analyze/test_proof_statistics.py`)."""
UNKNOWN_SPREAD: Final = 0.25
"""The spread that is assumed where less than three blocks show it; four blocks were seen to differ by it."""
ENOUGH: Final = 0.5
"""Share of the gain that a change promises from which it is large enough for its claim."""
SAVED: Final = 0.2
"""Gain from which a cost was a substantial part of what used up the CPU."""
RELIEVED: Final = 0.5
"""A p95 response time that falls to this share of itself shows that a queue is gone; our own bound."""
_FEWEST_BEFORE: Final = 3
_FEWEST_AFTER: Final = 2
"""So many blocks of each side show the noise; with fewer, `UNKNOWN_SPREAD` is assumed at least."""


class Sides(NamedTuple):
    """The usable blocks of a counter-experiment in the order in which they ran.

    Attributes:
        before: Without the change.
        after: With the change.
    """

    before: tuple[Stage, ...]
    after: tuple[Stage, ...]


class _Rates(NamedTuple):
    """Throughput without and with the change.

    Attributes:
        before: Of each block without the change.
        after: Of each block with it.
        base: Mean over the blocks with the change of what their neighbours without it reached: a steady drift
            affects both sides alike. None without such blocks.
        spread: Largest difference between blocks without the change ÷ their mean; None if too few show it.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    base: float | None
    spread: float | None

    @property
    def reached(self) -> float | None:
        """Mean throughput with the change."""
        return fmean(self.after) if self.after else None

    @property
    def gain(self) -> float | None:
        """Relative gain; None from nothing to something, and where it is not known."""
        if self.base is None or self.reached is None:
            return None
        return self.reached / self.base - 1 if self.base else None

    @property
    def is_clear(self) -> bool:
        """Whether every block with the change is better, by more than the spread of the others explains."""
        if not self.after or min(self.after) <= max(self.before, default=0.0):
            return False
        few = self.spread is None or len(self.after) < _FEWEST_AFTER
        noise = NOISE * max(self.spread or 0.0, UNKNOWN_SPREAD if few else 0.0)
        return self.gain is None or self.gain >= max(LIFTED, noise)

    @property
    def most(self) -> float:
        """The largest gain that two of the blocks show."""
        least = min(self.before, default=0.0)
        return max(self.after, default=0.0) / least - 1 if least else 0.0


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
    usable = [(changed, block) for changed, block in blocks if _is_usable(block)]
    sides = Sides(
        tuple(block for changed, block in usable if not changed),
        tuple(block for changed, block in usable if changed),
    )
    rates = _rates(usable)
    shown = _middle(sides.after) or next((block for changed, block in blocks if changed), blocks[-1][1])
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


def _effect(stage: Stage, sides: Sides, rates: _Rates) -> Effect:
    sustained = sides.after[0].target_rps if _sustained(sides.after) else None
    relieved = None if rates.is_clear else _relieved(sides)
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


def _is_usable(block: Stage) -> bool:
    is_valid = block.status is StageStatus.COMPLETE and block.validity.status is not Validity.INVALID
    return is_valid and block.actual_rps is not None


def _why_unusable(blocks: Sequence[Stage]) -> str:
    """Return why the first block that failed did, or that there are not enough."""
    reasons = (block.validity.reasons for block in blocks if not _is_usable(block))
    return next((why[0] for why in reasons if why), "the run ended before its blocks did")


def _block(changed: bool, block: Stage) -> Block:
    return Block(changed, block.order, block.actual_rps, block.verdict.code, _is_usable(block))


def _rates(blocks: Sequence[tuple[bool, Stage]]) -> _Rates:
    rates = [(changed, block.actual_rps or 0.0) for changed, block in blocks]
    before = tuple(rate for changed, rate in rates if not changed)
    after = tuple(rate for changed, rate in rates if changed)
    bases = [_neighbours(rates, at) for at, (changed, _) in enumerate(rates) if changed]
    known = len(before) >= _FEWEST_BEFORE and fmean(before) > 0
    spread = (max(before) - min(before)) / fmean(before) if known else None
    return _Rates(before, after, fmean(bases) if before and bases else None, spread)


def _neighbours(rates: Sequence[tuple[bool, float]], at: int) -> float:
    """Return the mean of the nearest blocks without the change, before and after another one."""
    left = [rate for changed, rate in rates[:at] if not changed][-1:]
    right = [rate for changed, rate in rates[at + 1 :] if not changed][:1]
    return fmean([*left, *right]) if left or right else 0.0


def _middle(blocks: Sequence[Stage]) -> Stage | None:
    """Return the block whose throughput is the median; of an even number, the lower one."""
    rate = median_low([block.actual_rps or 0.0 for block in blocks]) if blocks else None
    return next((block for block in blocks if block.actual_rps == rate), None)


def _answer(
    stage: Stage, sides: Sides, rates: _Rates, change: Change, configuration: Configuration
) -> tuple[ProofAnswer, str]:
    """Return the answer, and for an inconclusive one the reason to end the sentence with."""
    if why := _flaw(stage, sides):
        return ProofAnswer.INCONCLUSIVE, why
    if rates.is_clear or _relieved(sides):
        return _lifted(stage, sides, rates, change, configuration)
    if _sustained(sides.before):
        why = "the limit did not show in the blocks, whose rate was sustained without the change"
    elif _sustained(sides.after):
        why = "the target rate was achieved and may hide a larger effect"
    elif rates.most >= _least(change, configuration) or (rates.gain or 0.0) >= LIFTED:
        why = "the blocks without the change differ so much that they can hide an effect"
    elif stage.verdict.code in change.must_lift and _must_lift(stage, sides, change):
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
    if _generator_is_saturated(stage):
        return "the generator itself was almost saturated"
    if any(block.verdict.code is Limit.GENERATOR for block in sides.after):
        return "the generator limits the blocks with the change"
    return ""


def _lifted(
    stage: Stage, sides: Sides, rates: _Rates, change: Change, configuration: Configuration
) -> tuple[ProofAnswer, str]:
    """Return whether a clear gain is of the right kind and large enough for what the verdict claims."""
    if not _is_consistent(stage, sides):
        return (
            ProofAnswer.INCONCLUSIVE,
            "requests did not cost less CPU and the system did not use more of it",
        )
    gain = rates.gain
    large = gain is None or gain >= ENOUGH * change.adds(configuration)
    saved = gain is not None and change.saves and _saturated_role(stage.verdict.code) and gain >= SAVED
    if large or saved or _sustained(sides.after) or new_limit(stage, sides):
        return ProofAnswer.CONFIRMED, ""
    if stage.verdict.code is Limit.UNDETERMINED:
        return ProofAnswer.CONFIRMED, ""  # it claims no more than to be a part of the limit
    return ProofAnswer.INCONCLUSIVE, "lifting the limit would raise throughput by more"


def _sustained(blocks: Sequence[Stage]) -> bool:
    return bool(blocks) and all(block.verdict.code is Limit.WITHIN_CAPACITY for block in blocks)


def new_limit(stage: Stage, sides: Sides) -> Verdict | None:
    """Return the verdict of the changed blocks if it names another limit than any that showed before."""
    shown = _middle(sides.after)
    if shown is None or shown.verdict.confidence is Confidence.HINT:
        return None
    if shown.verdict.code in {Limit.UNDETERMINED, Limit.WITHIN_CAPACITY, Limit.GENERATOR}:
        return None
    before = {
        (finding.code, finding.service) for one in (stage, *sides.before) for finding in one.verdict.findings
    }
    first = shown.verdict.findings[0] if shown.verdict.findings else None
    is_new = first is not None and (first.code, first.service) not in before
    return shown.verdict if is_new else None


def _must_lift(stage: Stage, sides: Sides, change: Change) -> bool:
    """Return whether what was observed shows that a change enlarged the very thing that was used up.

    A larger pool shows in the app's connections; else the option was not its size. A larger CPU limit of a
    service matters only where the limit throttled it.
    """
    if change.cause is Cause.POOL:
        before, after = (_most_connections(side) for side in sides)
        return after > before
    if change.cause is Cause.SERVICE_CPU:
        return any(_is_throttled(block, stage.verdict.service) for block in sides.before)
    return True


def _most_connections(blocks: Sequence[Stage]) -> int:
    return max((peer.established[2] for block in blocks for peer in block.peers), default=0)


def _is_throttled(block: Stage, service: str | None) -> bool:
    return max(throttled_shares(block, service or "").values(), default=0.0) > THROTTLED


def _saturated_role(limit: Limit) -> Role | None:
    """Return the role whose CPU is saturated at a limit."""
    rule = RULES.get(limit)
    return rule.saturated_role if rule else None


def _is_consistent(stage: Stage, sides: Sides) -> bool:
    """Return False if a CPU limit was lifted without cheaper requests or more CPU: it was another limit."""
    role = _saturated_role(stage.verdict.code)
    if role is None:
        return True
    cost_before, cost_after = (_mean_cost(side, role) for side in sides)
    used_before, used_after = (_mean_cores(side, role) for side in sides)
    if cost_before is None or used_before is None:
        return True
    cheaper = cost_after is None or cost_after < cost_before * 0.97
    return cheaper or (used_after is not None and used_after > used_before * 1.03)


def _mean_cost(blocks: Sequence[Stage], role: Role) -> float | None:
    known = [cost for block in blocks if (cost := block.cpu_us_per_request.get(role)) is not None]
    return fmean(known) if known else None


def _mean_cores(blocks: Sequence[Stage], role: Role) -> float | None:
    known = [usage.avg for block in blocks if (usage := block.cpu_cores.get(role)) is not None]
    return fmean(known) if known else None


def _relieved(sides: Sides) -> tuple[float, float] | None:
    """Return the p95 response times of blocks just short of their target whose queue the change took away."""
    if not _sustained(sides.after) or _sustained(sides.before):
        return None
    before, after = (
        [p95 for block in side if (p95 := block.response_time_ms.p95) is not None] for side in sides
    )
    if not before or not after or max(after) > min(before) * RELIEVED:
        return None
    return min(before), max(after)


def _generator_is_saturated(stage: Stage) -> bool:
    """Return whether the generator may have been the limit, so that a change that relieves it proves nothing.

    A limit of CPU rests on its own counter, whatever the generator did.
    """
    usage, limit = stage.cpu_cores.get(Role.GENERATOR), stage.verdict.code
    if limit is Limit.GENERATOR or _saturated_role(limit) or stage.engine != "builtin":
        return False
    return bool(usage and stage.workers and usage.avg >= GENERATOR_SATURATED * stage.workers)
