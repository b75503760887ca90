"""What limits a stage, in words: the verdict, its evidence, and what to try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.codes import HypothesisAnswer, Limit, ProofAnswer, StageStatus, Validity
from runner.core.findings import Evidence, Finding
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage, Verdict
from runner.report import number_format
from runner.report.headline_thresholds import failed_thresholds_phrase
from runner.report.markdown_text import EMPTY, Markdown, join, markdown
from runner.report.stage_choice import cut_short

_HYPOTHESIS: Final = {HypothesisAnswer.OPEN: "undecided"}
"""Words shown instead of an answer's own."""
_COUNTED: Final = frozenset({"connections", "files", "ports", "requests", "responses", "scenarios"})
_NOTHING_ELSE: Final = (
    "What remains possible: a limit that no counter shows. Next: collect the service's own metrics "
    "(app.metrics), and read its log for this period."
)


def limit(stage: Stage) -> Markdown:
    """Return what limits a stage, how sure that is, by what numbers, and what to try."""
    verdict = stage.verdict
    if none := _without_limit(stage):
        return none
    first, *others = verdict.findings
    proofs = verdict.experiments
    seen = [markdown("{} ({}): {}", also.code, also.confidence, also.summary) for also in others]
    parts = [
        _conclusion(verdict, first),
        *(markdown("Counter-experiment: {}", proof.sentence) for proof in proofs),
        markdown("Also observed: {}.", join("; ", seen)) if seen else EMPTY,
        _next(verdict),
    ]
    return join(" ", filter(None, parts))


def _without_limit(stage: Stage) -> Markdown:
    """Return why a stage shows no limit; empty if it shows one."""
    verdict, probe = stage.verdict, stage.find
    if stage.validity.status is Validity.INVALID and not _has_verdict(stage):
        reasons = join("; ", stage.validity.reasons[:1])
        return markdown("the measurement is invalid ({}) and supports no conclusion.", reasons)
    if probe is None and cut_short(stage):
        return markdown("the stage was aborted before its end, so it does not show a limit.")
    if probe is not None and probe.holds is None:
        return markdown("this rate could not be judged: {}.", probe.why)
    if verdict.code is Limit.WITHIN_CAPACITY and (failed := _failed_criteria(stage)):
        return markdown("the service achieved this rate, but {}.", failed)
    return EMPTY if verdict.findings else markdown("no limit was identified.")


def _failed_criteria(stage: Stage) -> str:
    """Return what else than its rate a stage did not achieve; empty if that is nothing."""
    if stage.find is not None:
        return f"the search’s conditions failed: {stage.find.why}"
    failed = failed_thresholds_phrase(stage)
    return f"{failed}, and no limit shows" if failed else ""


def _has_verdict(stage: Stage) -> bool:
    """Return whether an invalid stage has a verdict: that of the generator, why the app failed, or hints."""
    if stage.status is StageStatus.FAILED:
        return stage.verdict.code is not Limit.UNDETERMINED
    return stage.verdict.code is Limit.GENERATOR or has_hints(stage)


def has_hints(stage: Stage) -> bool:
    """Return whether an invalid stage says why it has no verdict, with what was seen beside that."""
    code = stage.verdict.code
    return code is Limit.UNDETERMINED and bool(stage.longest_stall_s) and bool(stage.verdict.findings)


def _conclusion(verdict: Verdict, finding: Finding) -> Markdown:
    name = markdown("{} ({}{})", verdict.name, verdict.confidence, _tried(verdict))
    if verdict.withdrawn:
        name = markdown("undetermined; the suspected {} was refuted", verdict.withdrawn)
    summary = finding.summary[:1].upper() + finding.summary[1:]
    if not finding.evidence or finding.code is Limit.UNDETERMINED:
        return markdown("{}. {}.", name, summary)
    return markdown("{}. {}. Evidence: {}.", name, summary, join("; ", _evidence(finding.evidence)))


def _tried(verdict: Verdict) -> str:
    """Return what did not lift the limit although it might have."""
    words = [one.words for one in verdict.experiments if one.answer is ProofAnswer.NO_EFFECT]
    return f"; not lifted by {number_format.listed(words)}" if words else ""


def _next(verdict: Verdict) -> Markdown:
    """Return what to try next; the advice of a withdrawn finding was tried already and did not help."""
    if verdict.withdrawn:
        return _remaining(verdict.findings[1:])
    if not verdict.findings:
        return EMPTY
    proof, advice = verdict.counter_experiment, verdict.findings[0].advice
    if proof is not None and proof.answer is ProofAnswer.CONFIRMED:
        return markdown("Next: {} helped; beyond that, {}.", proof.words, advice)
    return markdown("Next: {}.", advice)


def _remaining(findings: Sequence[Finding]) -> Markdown:
    """Return what remains possible after a limit was refuted."""
    if not findings:
        return markdown("{}", _NOTHING_ELSE)
    others = [markdown("{} ({}): {}", other.code, other.confidence, other.advice) for other in findings]
    return markdown("What remains possible: {}.", join("; ", others))


def hypothesis(configuration: ConfigurationResults) -> Iterator[Markdown]:
    """Yield the expected limit and whether it was found; nothing without a hypothesis."""
    if known := configuration.hypothesis:
        answer = _HYPOTHESIS.get(known.answer, known.answer)
        shown = (known.expected, answer, known.stage, known.why)
        yield markdown("**Hypothesis:** {} is **{}** at {}: {}.", *shown)


def _evidence(items: Sequence[Evidence]) -> Iterator[Markdown]:
    """Yield each number with its rise and its bound; a bound that repeats is shown once."""
    last = None
    for item in items:
        bound = (item.threshold, item.source)
        yield _number(item, bounded=bound != last)
        last = bound


def _number(item: Evidence, *, bounded: bool) -> Markdown:
    of_time = item.unit == "s"
    named = item.unit == "count" or (item.name.startswith("seconds ") if of_time else item.unit in item.name)
    unit = item.unit.removesuffix("s") if item.value == 1 and item.unit in _COUNTED else item.unit
    number = markdown(
        "{} {}{}", item.name, number_format.figure(item.value), "" if named else markdown(" {}", unit)
    )
    if item.before is not None and item.after is not None and item.after == int(item.after):
        number = markdown("{}, from {:,.0f} to {:,.0f}", number, item.before, item.after)
    bound = None if item.threshold is None else f"bound {number_format.figure(item.threshold)}"
    reasons = join(", ", filter(None, (bound, item.source)))
    return markdown("{} ({})", number, reasons) if reasons and bounded else number
