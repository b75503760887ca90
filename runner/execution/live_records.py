"""The records that describe a trial: its plan, its seconds, its end, and what it says about a rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from runner.analyze.capacity import SearchProgress
from runner.core.facts import TrialFacts
from runner.core.histogram import Histogram, merge
from runner.core.live import (
    MAX_NOTES,
    LoadModel,
    PartSecond,
    PlannedTrial,
    Probe,
    Second,
    TrialEnds,
    shortened,
)
from runner.core.load_facts import LoadSecond
from runner.core.metrics import METRICS
from runner.core.units import Milliseconds, PerSecond, Seconds
from runner.execution.role_usage import RoleUsage
from runner.experiment.stage import Stage
from runner.experiment.trial_title import trial_detail
from runner.experiment.trials import Trial

MAX_PARTS: Final = 40
"""A mix of more requests is shown as a whole only."""
_SHOWN: Final = (50.0, 95.0, 99.0)
_DIGITS: Final = 3


def planned_trials(trials: Sequence[Trial]) -> tuple[PlannedTrial, ...]:
    """Return trials as the plan shows them."""
    return tuple(
        PlannedTrial(
            trial.order + 1, trial.configuration.name, trial.stage.name, trial.stage.level,
            trial.stage.warmup, trial.stage.duration, trial.find is not None, trial.orders,
            trial_detail(trial),
        )
        for trial in trials
    )  # fmt: skip


def model_of(trial: Trial) -> LoadModel:
    """Return how a trial's load is defined."""
    if trial.configuration.load.scenarios:
        return "scenarios"
    return "open" if trial.stage.users is None else "closed"


def second_record(second: LoadSecond, stage: Stage, usage: RoleUsage, at_s: Seconds) -> Second:
    """Return what is told of a second of load.

    Args:
        second: Merged from all workers.
        stage: To which it belongs.
        usage: The last readings of what each role uses.
        at_s: Unix time.
    """
    middle_s = second.index + 0.5
    is_offered = middle_s < stage.duration
    p50, p95, p99 = _percentiles_ms(second.response_time or second.duration)
    runs = second.scenarios.values()
    parts = second.parts if len(second.parts) <= MAX_PARTS else {}
    return Second(
        at_s=round(at_s, _DIGITS),
        t_s=second.index + 1.0,
        rps=second.completed,
        target_rps=stage.rate_at(middle_s) if is_offered else None,
        target_users_per_s=_users_per_s(stage, middle_s) if is_offered else None,
        offered=second.scheduled,
        succeeded=second.succeeded,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        failures=_failures(second),
        in_flight=second.in_flight,
        users=sum(run.in_flight for run in runs) if runs else None,
        scenarios_per_s=sum(run.completed for run in runs) if runs else None,
        cores={role: round(max(used, 0.0), _DIGITS) for role, used in usage.cores().items()},
        memory_bytes=usage.memory_bytes(),
        parts={name: _part(part) for name, part in parts.items()},
    )


def trial_end(facts: TrialFacts, at_s: Seconds) -> TrialEnds:
    """Return what is told at the end of a trial."""
    seconds = facts.load.seconds if facts.load else ()
    failures = sum(second.dropped + sum(second.failures.values()) for second in seconds)
    in_window = [second for second in seconds if 0 <= second.index < facts.window_s]
    completed = sum(second.completed for second in in_window)
    return TrialEnds(
        at_s=round(at_s, _DIGITS),
        number=facts.order + 1,
        status=facts.status,
        succeeded=sum(second.succeeded for second in seconds),
        failed=failures,
        rps=round(completed / facts.window_s, _DIGITS) if in_window and facts.window_s else None,
        p95_ms=_p95_ms(facts, seconds),
        notes=tuple(map(shortened, _notes(facts)[:MAX_NOTES])),
    )


def probe_records(search: SearchProgress, at_s: Seconds) -> Iterator[Probe]:
    """Yield what each probe of a search says about its rate, as far as they were run."""
    for stage in search.stages:
        if stage.find is not None:
            yield Probe(
                at_s=round(at_s, _DIGITS),
                number=search.trial.order + stage.find.probe,
                configuration=search.trial.configuration.name,
                stage=search.find.name,
                rate=stage.rate,
                passed=stage.find.holds,
                unit=search.find.find.unit.value,
                reason=shortened(stage.find.why),
                p95_ms=METRICS["response_time.p95"].read(stage),
            )


def _users_per_s(stage: Stage, t_s: Seconds) -> PerSecond | None:
    share = min(1.0, max(0.0, t_s / stage.duration))
    return stage.user_rate_ramp.at(share) if stage.user_rate_ramp else stage.user_rate


def _percentiles_ms(histogram: Histogram) -> tuple[Milliseconds | None, ...]:
    percentiles = histogram.percentiles_ms(_SHOWN)
    return tuple(round(value, _DIGITS) for value in percentiles) or (None,) * len(_SHOWN)


def _failures(second: LoadSecond) -> Mapping[str, int]:
    return dict(second.failures) | ({"dropped": second.dropped} if second.dropped else {})


def _part(second: LoadSecond) -> PartSecond:
    p95_ms = (second.response_time or second.duration).percentile_ms(95)
    return PartSecond(
        rps=second.completed,
        offered=second.scheduled,
        succeeded=second.succeeded,
        p95_ms=None if p95_ms is None else round(p95_ms, _DIGITS),
        failures=_failures(second),
    )


def _p95_ms(facts: TrialFacts, seconds: Sequence[LoadSecond]) -> Milliseconds | None:
    """Return the 95th percentile of a stage, as its engine states it or from its histograms."""
    if facts.load and (stated := facts.load.stated_ms):
        return (stated.get("response_time") or stated.get("duration") or {}).get("p95")
    whole = merge(second.response_time or second.duration for second in seconds)
    return whole.percentile_ms(95)


def _notes(facts: TrialFacts) -> list[str]:
    load, observed = facts.load, facts.observed
    return [
        *(event.message for event in facts.events),
        *(load.lost_workers if load else ()),
        *(load.notes if load else ()),
        *(observed.notes if observed else ()),
    ]
