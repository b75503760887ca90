"""The sentences about a search: the capacity with its evidence, or why none was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from runner.analyze.masked_probe import masked_sentence
from runner.analyze.reason import text_of
from runner.core.codes import DoubtCode, Limit, RateUnit, SearchEnding, StageStatus, Unbounded, Validity
from runner.core.judgements import Probe, ThresholdResult
from runner.core.limits import ACHIEVED
from runner.core.metric import Dimension
from runner.core.metrics import find_metric
from runner.core.stage_results import Stage
from runner.core.units import percent
from runner.experiment.capacity_search import Search
from runner.experiment.model import Threshold
from runner.experiment.stage import rate_name


def failed_condition(condition: Threshold, result: ThresholdResult) -> str:
    """Return why a condition failed: ``response_time.p95 is 71.2 ms (required: < 50ms)``."""
    value = result.value
    metric = condition.expr.partition(condition.op)[0].strip()
    required = condition.expr.removeprefix(metric).strip()
    if result.unbounded is Unbounded.LOST:
        return f"{metric} lies among requests that failed or were dropped (required: {required})"
    if result.unbounded is Unbounded.OUT_OF_RANGE:
        return f"{metric} is over 1 h (required: {required})"
    if value is None:
        return f"{metric} is unknown because there was no successful response"
    known = find_metric(condition.metric)
    match known and known.dimension:
        case Dimension.TIME:
            text = f"{milliseconds(value)} ms"
        case Dimension.SHARE:
            text = percent(value, 1 if 0.0095 < value < 0.985 else 2)
        case _:
            text = f"{value:,.4g}"
    return f"{metric} is {text} (required: {required})"


def disturbed_probe(stage: Stage) -> str:
    """Return why a probe does not count that failed beside other programs."""
    return f"{text_of(stage.validity, DoubtCode.DISTURBED)}. The rate was tried again"


def lost(share: float, *, users: bool) -> str:
    """Return why a rate is not sustained at which this share without a condition on losses is lost."""
    if users:
        return f"{percent(share, 1)} of the users did not complete their scenario (required: < 1 %)"
    what = "requests without a condition on errors failed or were dropped"
    return f"{percent(share, 1)} of the {what} (required: < 1 %)"


def fell_short(share: float) -> str:
    """Return why a rate is not sustained of which this share was achieved, without a condition on that."""
    return f"{percent(share, 1)} of the rate was achieved (required: {percent(ACHIEVED)})"


def milliseconds(value: float) -> str:
    """Return a number with about three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def search_result(search: Search, stages: Sequence[Stage], ending: SearchEnding, undecided: str) -> str:
    """Return what a search found, or why it found nothing, such as why its last probe was `undecided`."""
    probes = f"{len(stages)} probe{'s'[: len(stages) != 1]}"
    match ending:
        case SearchEnding.STOPPED:
            rate = rate_name(stages[-1].rate, search.unit)
            return f"The search stopped at {rate}: {undecided}. {_so_far(search)}"
        case SearchEnding.OPEN:
            return f"The search was interrupted after {probes}. {_so_far(search)}"
        case SearchEnding.NEVER:
            lowest = rate_name(search.lowest, search.unit)
            return (
                f"No rate was sustained. {lowest}, the lowest rate allowed, failed: "
                f"{_reason(search, stages)}.{_lower(search, stages)}"
            )
        case SearchEnding.ALWAYS:
            highest = rate_name(search.highest, search.unit)
            return (
                f"Every rate was sustained, up to {highest}, the highest rate allowed. "
                "The capacity is higher, but unknown."
            )
        case _:
            return _bracket(search, stages, probes, ending)


def _bracket(search: Search, stages: Sequence[Stage], probes: str, ending: SearchEnding) -> str:
    """Return the rates on both sides of the capacity, as far as the probes reached."""
    if search.sustained is None:
        lowest = rate_name(search.failed or 0, search.unit)
        return f"All {probes} failed, down to {lowest}.{_lower(search, stages)}"
    if search.failed is None:
        highest = rate_name(search.sustained, search.unit)
        return f"All {probes} were sustained, up to {highest}. The capacity is higher, but unknown."
    end = ", which were too few for the requested precision" if ending is SearchEnding.BOUNDED else ""
    sustained, failed = (rate_name(rate, search.unit) for rate in (search.sustained, search.failed))
    return (
        f"{_sustained(sustained, ending)}. {failed} was not sustained: {_reason(search, stages)}. "
        f"The search took {probes}{end}."
    )


def _sustained(rate: str, ending: SearchEnding) -> str:
    if ending is SearchEnding.MASKED:
        return f"The service sustains at least {rate}"
    return f"The highest sustained rate is {rate}"


def _lower(search: Search, stages: Sequence[Stage]) -> str:
    """Return that the capacity is below every rate; empty where it need not be the service that failed."""
    masked = any(probe.mask is not UNSET for probe in _failed_probes(search, stages))
    return "" if masked else " The capacity is lower, but unknown."


def _so_far(search: Search) -> str:
    if search.sustained is None:
        return "Until then, no rate was sustained."
    return f"The highest rate sustained by then is {rate_name(search.sustained, search.unit)}."


def _reason(search: Search, stages: Sequence[Stage]) -> str:
    return next((probe.why for probe in _failed_probes(search, stages)), "")


def _failed_probes(search: Search, stages: Sequence[Stage]) -> Iterator[Probe]:
    """Yield the probes at the lowest rate that failed, without those that could not be judged."""
    at_rate = (stage.find for stage in stages if stage.find and stage.rate == search.failed)
    return (probe for probe in at_rate if probe.holds is False)


def failed_probe(stage: Stage, unit: RateUnit) -> str:
    """Return what limits the lowest rate that failed."""
    verdict, validity = stage.verdict, stage.validity
    if stage.find and stage.find.mask is not UNSET:
        return masked_sentence(stage.find.mask, stage.rate, unit)
    if validity.status is not Validity.VALID and stage.status is StageStatus.COMPLETE:
        rate = rate_name(stage.rate, unit)
        return f"The probe at {rate} is {validity.status}: {validity.reasons[0]}."
    if verdict.code in {Limit.WITHIN_CAPACITY, Limit.UNDETERMINED}:
        return ""
    return f"The verdict at that rate is {verdict.code} ({verdict.confidence})."
