"""Compares the limit that the specification expects with the limit that was found."""

from __future__ import annotations

from collections.abc import Sequence

from runner.analyze.rules.parts import largest_consumer
from runner.analyze.rules.registry import RULES
from runner.core.codes import Confidence, HypothesisAnswer, Limit, ProofAnswer, StageStatus, Validity
from runner.core.results import Hypothesis
from runner.core.stage_results import Stage


def hypothesis(expected: Limit | None, stages: Sequence[Stage]) -> Hypothesis | None:
    """Return whether the expected limit is the first one that the configuration reached.

    The lowest rate that fell short decides; without one, the first stage with users that met a limit, or
    else the last stage. Without a hypothesis, or if nothing was measured, there is no answer.
    """
    measured = [
        stage
        for stage in stages
        if (stage.achieved is not None or stage.users is not None)
        and (stage.validity.status is not Validity.INVALID or _is_known_failure(stage))
    ]
    if expected is None or not measured:
        return None
    short = [stage for stage in measured if stage.verdict.code is not Limit.WITHIN_CAPACITY]
    if short:
        rated = [stage for stage in short if stage.users is None]
        stage = min(rated or short, key=lambda stage: stage.rate)
        answer, why = _judge(expected, stage)
    else:
        stage, why = measured[-1], "the service kept up with every offered rate, so no bottleneck was found"
        is_expected = expected is Limit.WITHIN_CAPACITY
        answer = HypothesisAnswer.CONFIRMED if is_expected else HypothesisAnswer.REFUTED
    return Hypothesis(expected, answer, stage.name, why)


def _is_known_failure(stage: Stage) -> bool:
    """Return whether the system under test failed, and the verdict says of what, such as a lack of memory."""
    return stage.status is StageStatus.FAILED and stage.verdict.code is not Limit.UNDETERMINED


def _judge(expected: Limit, stage: Stage) -> tuple[HypothesisAnswer, str]:
    """Return the answer of the lowest rate that fell short, and the reason."""
    verdict = stage.verdict
    named = f"the verdict is {verdict.code} ({verdict.confidence})"
    codes = [finding.code for finding in verdict.findings]
    if verdict.confidence is Confidence.HINT and expected in codes and len(codes) > 1:
        others = " and ".join(code for code in codes if code is not expected)
        return HypothesisAnswer.OPEN, f"{expected} is a hint only, and so is {others}"
    if verdict.code is expected:
        return HypothesisAnswer.CONFIRMED, named
    if verdict.withdrawn is expected:
        return HypothesisAnswer.REFUTED, "its counter-experiment refuted it"
    return _judge_another(expected, stage, named)


def _judge_another(expected: Limit, stage: Stage, named: str) -> tuple[HypothesisAnswer, str]:
    """Return the answer if the verdict is another limit than the expected one."""
    verdict = stage.verdict
    if verdict.code is Limit.UNDETERMINED:
        return HypothesisAnswer.OPEN, "no counter shows what limits it"
    if any(it.code is expected and it.confidence is verdict.confidence for it in verdict.findings):
        return HypothesisAnswer.CONFIRMED, f"{named}, and {expected} as well"
    if verdict.code is Limit.HOST_CPU and largest_consumer(stage).is_stranger:
        why = "other programs used the host's CPU, so that the service could not reach a limit of its own"
        return HypothesisAnswer.OPEN, why
    return HypothesisAnswer.REFUTED, f"{named}{_underlying_cause(stage, expected)}"


def _underlying_cause(stage: Stage, expected: Limit) -> str:
    """Return what a counter-experiment confirmed as the cause of another limit than the expected one."""
    experiment = stage.verdict.counter_experiment
    if experiment is None or experiment.answer is not ProofAnswer.CONFIRMED:
        return ""
    rule, sentence = RULES.get(expected), experiment.sentence
    is_expected = rule is not None and experiment.cause in rule.caused_by
    cause = "the expected one" if is_expected else experiment.cause
    return f"; its underlying cause is {cause}: {sentence[:1].lower()}{sentence[1:].removesuffix('.')}"
