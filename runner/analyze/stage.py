"""One stage of the results: the measurements of a trial, their validity, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import asdict, replace

from runner.analyze import kernel_counters, validity, verdict
from runner.analyze.calibration import stage_calibration
from runner.analyze.latency import distribution, latency
from runner.analyze.resource_usage import cores_between, cpu_by_role, cpu_of, memory_by_role
from runner.analyze.thresholds import evaluate
from runner.analyze.throttling import throttling_by_subject
from runner.core.codes import StageStatus
from runner.core.facts import LoadFacts, LoadSecond, ObservedFacts, Role, RunFacts, TrialFacts
from runner.core.results import Measured, Moment, Requests, Stage, StageEvent, SubjectUsage, Usage
from runner.core.units import PerSecond, Seconds
from runner.experiment.trials import Trial

_ALWAYS_SHOWN: Final = (Role.APP, Role.GENERATOR, Role.RUNNER, Role.OTHER, Role.SYSTEM)


def stage_of(trial: Trial, facts: TrialFacts | None, run: RunFacts) -> Stage:
    """Return the stage that a trial measured.

    Args:
        trial: As planned.
        facts: What happened; None if it was not run.
        run: The run around it.
    """
    stage = _unjudged(trial, facts)
    if facts is None:
        return stage
    configuration = trial.configuration
    stage = replace(
        stage,
        validity=validity.validity(facts, stage, when_full=configuration.load.when_full),
        # k6 does not measure every metric that a threshold can name
        thresholds=() if trial.cross_check else evaluate(configuration.thresholds, stage),
    )
    cpu_count = run.environment.get("cpu_count")
    cores = cpu_count if isinstance(cpu_count, int) else None
    return replace(stage, verdict=verdict.verdict(stage, cores, passed=_passes_search(trial, stage)))


def _passes_search(trial: Trial, stage: Stage) -> bool:
    """Return whether a probe breaks no condition of its search; True for other trials."""
    conditions = evaluate(trial.find.find.until, stage) if trial.find else ()
    return all(condition.ok or condition.value is None for condition in conditions)


def _unjudged(trial: Trial, facts: TrialFacts | None) -> Stage:
    """Return the measurements, with the validity and verdict of a stage that was not run."""
    configuration = trial.configuration
    load = facts.load if facts else None
    observed = facts.observed if facts else None
    target, window_s, warmup_s = _offered(trial, facts)
    measured = _measured(load, target, window_s)
    peak_s = configuration.metrics.peak_window
    cpu = _cpu(observed, window_s, peak_s)
    return Stage(
        name=trial.stage.name,
        engine=configuration.load.engine,
        target_rps=target,
        window_s=window_s,
        warmup_s=warmup_s,
        timeout_s=configuration.load.timeout,
        repeat=trial.repeat,
        order=trial.order,
        status=StageStatus(facts.status) if facts else StageStatus.NOT_RUN,
        replicas=configuration.topology.replicas,
        events=_events(facts),
        **asdict(measured),
        cpu_cores=cpu,
        cpu_cores_by_subject=_by_subject(observed, window_s, peak_s),
        throttling_by_subject=throttling_by_subject(observed),
        requests_by_subject=dict(observed.requests) if observed else {},
        cpu_us_per_request=_cpu_per_request(cpu, measured.requests.succeeded, window_s),
        memory_mib=_memory(observed, window_s),
        counters=kernel_counters.readings(observed),
        unreadable=kernel_counters.unreadable(observed),
        timeseries=_timeseries(load, observed, window_s),
        clock=load.clock if load else None,
        calibration=stage_calibration(facts.calibration if facts else None),
        workers=load.workers if load else None,
        notes=(*(load.notes if load else ()), *(observed.notes if observed else ())),
        thresholds=(),
        validity=validity.NOT_RUN,
        verdict=verdict.NOT_RUN,
    )


def _offered(trial: Trial, facts: TrialFacts | None) -> tuple[PerSecond, Seconds, Seconds]:
    """Return target rate, window and warm-up: from the facts, or from the plan if there are none."""
    if facts is None:
        return trial.stage.rps, trial.stage.duration, trial.stage.warmup
    return facts.target_rps, facts.window_s, facts.warmup_s


def _events(facts: TrialFacts | None) -> tuple[StageEvent, ...]:
    events = facts.events if facts else ()
    return tuple(StageEvent(event.code, event.message, event.t_s, event.log) for event in events)


def _measured(load: LoadFacts | None, target: PerSecond, window_s: Seconds) -> Measured:
    seconds = load.seconds if load else ()
    actual = _actual_rps(seconds, window_s) if load else None
    return Measured(
        requests=_requests(seconds),
        actual_rps=actual,
        achieved=None if actual is None else round(actual / target, 6),
        duration_ms=latency(load, "duration"),
        response_time_ms=latency(load, "response_time"),
        connect_ms=latency(load, "connect"),
        tls_ms=latency(load, "tls"),
        dispatch_delay_ms=latency(load, "dispatch_delay"),
        first_byte_ms=latency(load, "first_byte"),
        distribution=distribution(load),
    )


def _requests(seconds: Sequence[LoadSecond]) -> Requests:
    failures: Counter[str] = Counter()
    for second in seconds:
        failures.update(second.failures)
    return Requests(
        scheduled=sum(second.scheduled for second in seconds),
        sent=sum(second.sent for second in seconds),
        succeeded=sum(second.succeeded for second in seconds),
        failed=failures.total(),
        dropped=sum(second.dropped for second in seconds),
        failures=dict(sorted(failures.items())),
    )


def _actual_rps(seconds: Sequence[LoadSecond], window_s: Seconds) -> PerSecond:
    """Return the successful responses that arrived in the measured window, divided by its length."""
    completed = sum(second.completed for second in seconds if 0 <= second.index < window_s)
    return round(completed / window_s, 4)


def _cpu(observed: ObservedFacts | None, window_s: Seconds, peak_s: Seconds) -> dict[str, Usage | None]:
    """Return CPU by role; roles that were not observed are None, which is not 0."""
    return _by_role(_ALWAYS_SHOWN, cpu_by_role(observed, window_s, peak_s) if observed else {})


def _memory(observed: ObservedFacts | None, window_s: Seconds) -> dict[str, Usage | None]:
    return _by_role((Role.APP,), memory_by_role(observed, window_s) if observed else {})


def _by_role(shown: Sequence[Role], used: Mapping[Role, Usage | None]) -> dict[str, Usage | None]:
    return {role.value: _rounded(used.get(role)) for role in dict.fromkeys((*shown, *used))}


def _by_subject(
    observed: ObservedFacts | None, window_s: Seconds, peak_s: Seconds
) -> dict[str, SubjectUsage]:
    if observed is None:
        return {}
    return {
        subject.name: SubjectUsage(
            subject.role.value, _rounded(cpu_of(observed, subject.name, window_s, peak_s))
        )
        for subject in observed.subjects
    }


def _rounded(usage: Usage | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(round(usage.avg, 4), None if usage.peak is None else round(usage.peak, 4))


def _cpu_per_request(
    cpu: Mapping[str, Usage | None], succeeded: int, window_s: Seconds
) -> dict[str, float | None]:
    """Return the CPU time by role per successful response, in microseconds."""
    return {
        role: round(usage.avg * window_s / succeeded * 1e6, 2) if usage and succeeded else None
        for role, usage in cpu.items()
    }


def _timeseries(
    load: LoadFacts | None, observed: ObservedFacts | None, window_s: Seconds
) -> tuple[Moment, ...]:
    seconds = load.seconds if load else ()
    return tuple(_moment(second, observed) for second in seconds if second.index < window_s)


def _moment(second: LoadSecond, observed: ObservedFacts | None) -> Moment:
    p95 = second.response_time.percentile_ms(95)
    return Moment(
        t_s=float(second.index + 1),
        rps=second.completed,
        p95_ms=None if p95 is None else round(p95, 4),
        errors=sum(second.failures.values()) + second.dropped,
        in_flight=second.in_flight,
        cpu_app=_cores(observed, Role.APP, second.index),
        cpu_system=_cores(observed, Role.SYSTEM, second.index),
    )


def _cores(observed: ObservedFacts | None, role: Role, index: int) -> float | None:
    if observed is None:
        return None
    names = [subject.name for subject in observed.subjects if subject.role is role]
    cores = cores_between(observed.samples, names, index, index + 1)
    return None if cores is None else round(cores, 4)
