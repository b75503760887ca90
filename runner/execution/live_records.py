"""The records that describe a trial: its plan, its seconds, its end, and what it says about a rate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from runner.analyze.search_progress import SearchProgress
from runner.core.histogram import Histogram, merge
from runner.core.live import (
    LoadModel,
    PartSecond,
    PlannedTrial,
    Probe,
    Second,
    shortened,
)
from runner.core.load_facts import LoadSecond
from runner.core.metrics import METRICS
from runner.core.units import Milliseconds, PerSecond, Seconds
from runner.execution.live_end import MAX_PARTS
from runner.execution.role_usage import RoleUsage
from runner.experiment.stage import Stage
from runner.experiment.trial_title import trial_detail
from runner.experiment.trials import Trial

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


def second_record(second: LoadSecond, trial: Trial, usage: RoleUsage, at_s: Seconds) -> Second:
    """Return what is told of a second of load.

    k6 does not tell how many requests are under way, nor, before it ends, which request of a mix they are.

    Args:
        second: Merged from all workers.
        trial: To which it belongs.
        usage: The last readings of what each role uses.
        at_s: Unix time.
    """
    stage, is_k6 = trial.stage, trial.configuration.load.engine == "k6"
    middle_s = second.index + 0.5
    is_offered = middle_s < stage.duration
    p50, p95, p99 = _percentiles_ms(second.response_time or second.duration)
    runs = second.scenarios.values()
    parts = {} if is_k6 or len(second.parts) > MAX_PARTS else second.parts
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
        in_flight=None if is_k6 else second.in_flight,
        users=sum(run.in_flight for run in runs) if runs else None,
        scenarios_per_s=sum(run.completed for run in runs) if runs else None,
        cores={role: round(max(used, 0.0), _DIGITS) for role, used in usage.cores().items()},
        memory_bytes=usage.memory_bytes(),
        parts={name: _part(part) for name, part in parts.items()},
        scenarios_completed=sum(run.succeeded for run in runs),
        scenario_failures=_failures_of_all(runs),
        scenario_p95_ms=_percentiles_ms(merge(run.response_time for run in runs))[1],
        machines=usage.machines,
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


def _failures_of_all(runs: Iterable[LoadSecond]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for run in runs:
        total.update(_failures(run))
    return dict(total)


def _part(second: LoadSecond) -> PartSecond:
    p95_ms = (second.response_time or second.duration).percentile_ms(95)
    return PartSecond(
        rps=second.completed,
        offered=second.scheduled,
        succeeded=second.succeeded,
        p95_ms=None if p95_ms is None else round(p95_ms, _DIGITS),
        failures=_failures(second),
    )
