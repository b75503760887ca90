"""The repeats of a stage as one stage: each of its numbers is the median of the usable repeats."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Final, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.key_metrics import is_usable
from runner.core.codes import Limit, ProofAnswer, Validity
from runner.core.judgements import StageValidity
from runner.core.measured import NO_LATENCY, Latency, Measured, Part, Requests, Scenarios, Slice
from runner.core.metrics import LATENCIES, SCENARIO_DURATION, STATISTICS, lost_share
from runner.core.observed_results import Usage
from runner.core.stage_results import Stage, Verdict

MEDIAN: Final = 0
"""The number of the repeat that is the median of all."""
_M = TypeVar("_M", bound=Measured)
_V = TypeVar("_V")


def median_stage(repeats: Sequence[Stage]) -> Stage:
    """Return the repeats of a stage as one stage, each of its numbers the median of the usable repeats.

    What is no number, such as its seconds, is that of the repeat nearest to the median. With a single
    usable repeat, that is returned; without one, the first that says why.

    Args:
        repeats: At least one.
    """
    usable = [stage for stage in repeats if is_usable(stage)]
    if len(usable) < 2:
        return next(iter(usable), max(repeats, key=lambda stage: (bool(stage.events), stage.workers or 0)))
    return replace(
        _measured(_nearest(usable), usable),
        repeat=MEDIAN,
        cpu_cores=_by_key([stage.cpu_cores for stage in usable], _usage),
        memory_mib=_by_key([stage.memory_mib for stage in usable], _usage),
        cpu_us_per_request=_by_key([stage.cpu_us_per_request for stage in usable], middle),
        parts=_by_key([stage.parts for stage in usable], _part),
        slices=_slices([stage.slices for stage in usable]),
        validity=_validity(usable),
        verdict=_verdict(usable),
    )


def middle(values: Iterable[float | None]) -> float | None:
    """Return the median of the known values; None without any."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _nearest(stages: Sequence[Stage]) -> Stage:
    """Return the stage whose rate, then whose p95, is nearest to the median."""
    rate, p95 = middle(s.actual_rps for s in stages), middle(s.duration_ms.p95 for s in stages)

    def distance(stage: Stage) -> tuple[float, float]:
        return abs((stage.actual_rps or 0.0) - (rate or 0.0)), abs(
            (stage.duration_ms.p95 or 0.0) - (p95 or 0.0)
        )

    return min(stages, key=distance)


def _measured(base: _M, repeats: Sequence[_M]) -> _M:
    """Return what was measured of a whole stage or of a part of it, with medians for all its numbers."""
    latencies = {
        kind.field: _latency([getattr(measured, kind.field) for measured in repeats]) for kind in LATENCIES
    }
    durations = [measured.scenario_duration_ms for measured in repeats]
    if any(duration != NO_LATENCY for duration in durations):
        latencies[SCENARIO_DURATION.field] = _latency(durations)
    return replace(
        base,
        requests=_requests(repeats),
        actual_rps=middle(measured.actual_rps for measured in repeats),
        achieved=middle(measured.achieved for measured in repeats),
        scenarios=_scenarios(repeats),
        scenarios_per_s=middle(measured.scenarios_per_s for measured in repeats),
        **latencies,
    )


def _part(repeats: Sequence[Part]) -> Part:
    ended = [part.ended_users for part in repeats if part.ended_users is not None]
    return replace(
        _measured(repeats[0], repeats),
        slices=_slices([part.slices for part in repeats]),
        time_share=middle(part.time_share for part in repeats),
        ended_users=math.ceil(median(ended)) if ended else None,
    )


def _slices(repeats: Sequence[Sequence[Slice]]) -> tuple[Slice, ...]:
    return tuple(
        replace(_measured(same[0], same), cpu_cores=_by_key([part.cpu_cores for part in same], median))
        for same in zip(*repeats, strict=False)
    )


def _latency(repeats: Sequence[Latency]) -> Latency:
    """Return the medians of each statistic; one that has no finite value counts as infinite."""
    values: dict[str, float | None] = {}
    unbounded = {}
    for name in STATISTICS:
        reasons = [why for latency in repeats if (why := latency.why_unbounded(name))]
        finite = [value for latency in repeats if (value := getattr(latency, name)) is not None]
        value = middle(
            math.inf if latency.why_unbounded(name) else getattr(latency, name) for latency in repeats
        )
        if value == math.inf:
            unbounded[name] = reasons[0]
            value = middle(finite) if name == "max" else None
        values[name] = value
    return Latency(**values, unbounded=unbounded or UNSET)


def _requests(repeats: Sequence[Measured]) -> Requests:
    """Return the counts of the repeat with the median share of lost requests.

    Of an even number, the averages of the two in the middle; what was lost is rounded up.
    """
    ordered = sorted(repeats, key=lambda measured: lost_share(measured) or 0.0)
    low, high = ordered[(len(ordered) - 1) // 2].requests, ordered[len(ordered) // 2].requests
    if low is high:
        return low
    failures = _ceil_averages(low.failures, high.failures)
    dropped = -(-(low.dropped + high.dropped) // 2)
    return Requests(
        scheduled=(low.scheduled + high.scheduled) // 2,
        sent=(low.sent + high.sent) // 2,
        succeeded=(low.succeeded + high.succeeded) // 2,
        failed=sum(failures.values()),
        dropped=dropped,
        failures=failures,
        statuses=_ceil_averages(low.statuses or {}, high.statuses or {}) or UNSET,
    )


def _scenarios(repeats: Sequence[Measured]) -> Scenarios | None:
    """Return the counts of runs as `_requests` does those of requests; None without scenarios."""
    known = sorted(
        (runs for measured in repeats if (runs := measured.scenarios)),
        key=lambda runs: runs.lost / max(1, runs.scheduled),
    )
    if not known:
        return None
    low, high = known[(len(known) - 1) // 2], known[len(known) // 2]
    if low is high:
        return low
    failures = _ceil_averages(low.failures, high.failures)
    lost = {name: -(-(getattr(low, name) + getattr(high, name)) // 2) for name in ("unfinished", "dropped")}
    return Scenarios(
        scheduled=(low.scheduled + high.scheduled) // 2,
        started=(low.started + high.started) // 2,
        completed=(low.completed + high.completed) // 2,
        failed=sum(failures.values()),
        failures=failures,
        **lost,
    )


def _ceil_averages(low: Mapping[str, int], high: Mapping[str, int]) -> dict[str, int]:
    return {key: -(-(low.get(key, 0) + high.get(key, 0)) // 2) for key in {**low, **high}}


def _usage(usages: Sequence[Usage | None]) -> Usage | None:
    known = [usage for usage in usages if usage]
    if not known:
        return None
    return Usage(median(usage.avg for usage in known), middle(usage.peak for usage in known))


def _by_key(repeats: Sequence[Mapping[str, _V]], combine: Callable[[list[_V]], _V]) -> dict[str, _V]:
    keys = dict.fromkeys(key for one in repeats for key in one)
    return {key: combine([one[key] for one in repeats if key in one]) for key in keys}


def _validity(stages: Sequence[Stage]) -> StageValidity:
    """Return that the median is suspect if at least half of its repeats are."""
    suspect = [stage for stage in stages if stage.validity.status is Validity.SUSPECT]
    if 2 * len(suspect) < len(stages):
        return StageValidity(Validity.VALID, ())
    first = suspect[0]
    which = f"in repeat {first.repeat}, "
    if len(suspect) > 1:
        which = f"{len(suspect)} of {len(stages)} repeats are suspect; {which}"
    cause, *others = first.validity.reasons or ("it is suspect",)
    return replace(first.validity, reasons=(f"{which}{cause}", *others))


def _verdict(stages: Sequence[Stage]) -> Verdict:
    """Return the verdict of most repeats; a counter-experiment on one of them decides among limits.

    Of as many that kept up as fell short, those that fell short count.
    """
    short = [stage.verdict for stage in stages if stage.verdict.code is not Limit.WITHIN_CAPACITY]
    if 2 * len(short) < len(stages):
        return next(s.verdict for s in stages if s.verdict.code is Limit.WITHIN_CAPACITY)
    tested = [verdict for verdict in short if _is_tested(verdict)]
    most_frequent = Counter(verdict.code for verdict in tested or short).most_common(1)[0][0]
    return next(verdict for verdict in tested or short if verdict.code is most_frequent)


def _is_tested(verdict: Verdict) -> bool:
    proof = verdict.counter_experiment
    return proof is not None and proof.answer is not ProofAnswer.INCONCLUSIVE
