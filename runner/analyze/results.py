"""results.json: every number of a report, from the specification and the facts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.analyze import calibration
from runner.analyze.capacity import Searched, capacity, searched
from runner.analyze.counter_experiment import prove
from runner.analyze.cross_check import cross_checks
from runner.analyze.hypothesis import hypothesis
from runner.analyze.kernel_counters import evidence
from runner.analyze.latency import distribution, latencies
from runner.analyze.repeats import repeats
from runner.analyze.resource_usage import Usage, cores_between, cpu_by_role, cpu_of, memory_by_role
from runner.analyze.scaling import scaling
from runner.analyze.thresholds import evaluate
from runner.analyze.throttling import throttled
from runner.analyze.validity import validity
from runner.analyze.verdict import verdict
from runner.core.facts import LoadFacts, LoadSecond, ObservedFacts, Role, RunFacts, TrialFacts
from runner.experiment.counter_experiments import CHANGES
from runner.experiment.model import Configuration, Experiment
from runner.experiment.trials import Trial

SCHEMA_VERSION: Final = 1


def results(
    experiment: Experiment,
    *,
    spec_sha256: str,
    run: RunFacts,
    trials: Sequence[TrialFacts],
    planned: Sequence[Trial],
) -> dict[str, Any]:
    """The content of results.json: JSON types only, None for what was not measured.

    Args:
        experiment: What was asked.
        spec_sha256: Digest of the specification.
        run: The run around the trials.
        trials: What happened, in any order.
        planned: What was to be run, in order; a trial without facts shows as ``not-run``.
    """
    facts = {each.order: each for each in trials}
    counters = [trial for trial in planned if trial.proves is not None]
    planned = _as_written(experiment, [trial for trial in planned if trial.proves is None])
    asked = {trial.configuration.name: trial.configuration for trial in planned if not trial.cross_check}
    found = [
        _configuration([each for each in planned if each.configuration.name == name], counters, facts, run)
        for name in asked
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": {
            "name": experiment.name,
            "title": experiment.title,
            "objective": experiment.objective,
            "spec_sha256": spec_sha256,
        },
        "run": _run(run),
        "environment": dict(run.environment),
        "configurations": found,
        "scaling": scaling(list(zip(asked.values(), found, strict=True))),
    }


def _as_written(experiment: Experiment, planned: Sequence[Trial]) -> list[Trial]:
    """In the specification's order, repeats side by side; `order` keeps the random one that they ran in."""
    places = {each.name: at for at, each in enumerate(experiment.configurations)}

    def place(trial: Trial) -> tuple[int, int, int]:
        name = trial.find.name if trial.find else trial.stage.name
        stages = [stage.name for stage in trial.configuration.stages]
        return places[trial.configuration.name], stages.index(name), trial.order

    return sorted(planned, key=place)


def _run(run: RunFacts) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "status": run.status,
        "signal": run.signal,
        "error": run.error,
        "command": run.command,
        "overrides": list(run.overrides),
        "resumed_at": list(run.resumed_at),
    }


def _prove(stages: Sequence[dict[str, Any]], counter: Trial, facts: TrialFacts | None, run: RunFacts) -> None:
    """Confirm or withdraw the verdict that a counter-experiment is about, if it is one of these stages'."""
    judged = [stage for stage in stages if stage["order"] == counter.proves]
    if facts is None or not judged:
        return
    again = _stage(counter, facts, run)
    for stage in judged:
        stage["verdict"] = prove(stage, again, CHANGES[counter.change])


def _configuration(
    trials: Sequence[Trial], counters: Sequence[Trial], facts: Mapping[int, TrialFacts], run: RunFacts
) -> dict[str, Any]:
    trials, checks = [t for t in trials if not t.cross_check], [t for t in trials if t.cross_check]
    configuration = trials[0].configuration
    stages, searches = _all_stages(trials, facts, run)
    for counter in counters:
        _prove(stages, counter, facts.get(counter.order), run)
    built = next(
        (facts[t.order].topology for t in trials if t.order in facts and facts[t.order].topology), {}
    )
    load = configuration.load
    return {
        "name": configuration.name,
        "title": configuration.title,
        "topology": {"kind": configuration.topology.kind} | dict(built),
        "engine": load.engine,
        "load": {
            "connection": load.connection,
            "arrivals": load.arrivals,
            "max_in_flight": load.max_in_flight,
            "when_full": load.when_full,
            "timeout_s": load.timeout,
            "request": {"method": load.request.method, "path": load.request.path},
        },
        "hypothesis": hypothesis(configuration.hypothesis, stages),
        "stages": stages,
        "repeats": repeats(stages),
        "capacity": [capacity(search) for search in searches],
        "cross_check": cross_checks(stages, [_stage(each, facts.get(each.order), run) for each in checks]),
    }


def _all_stages(
    trials: Sequence[Trial], facts: Mapping[int, TrialFacts], run: RunFacts
) -> tuple[list[dict[str, Any]], list[Searched]]:
    """Every stage of a configuration, those of its searches among them, and the searches."""
    stages: list[dict[str, Any]] = []
    searches: list[Searched] = []
    for trial in trials:
        search = searched(trial, facts, lambda probe, of: _stage(probe, of, run))
        if search is not None:
            searches.append(search)
        probes = search.stages if search else ()
        stages += probes or [_stage(trial, facts.get(trial.order), run)]
    return stages, searches


def upcoming(trial: Trial, facts: Mapping[int, TrialFacts], run: RunFacts) -> Trial | None:
    """What a planned trial still needs: itself, or its search's next probe; None when it is done.

    Args:
        trial: As planned.
        facts: What happened so far, by order.
        run: The run around it.
    """
    search = searched(trial, facts, lambda probe, of: _stage(probe, of, run))
    if search is not None:
        return search.upcoming
    return None if trial.order in facts else trial


def search_sentence(trial: Trial, facts: Mapping[int, TrialFacts], run: RunFacts) -> str:
    """What a search has found so far; empty for a trial that is none."""
    search = searched(trial, facts, lambda probe, of: _stage(probe, of, run))
    return str(capacity(search)["sentence"]) if search else ""


def _stage(trial: Trial, facts: TrialFacts | None, run: RunFacts) -> dict[str, Any]:
    """One trial's numbers, then what they mean."""
    stage = _identity(trial, facts) | _numbers(trial.configuration, trial, facts)
    stage["thresholds"] = []
    if facts is None:
        stage["validity"] = {"status": "invalid", "reasons": ["the stage was not run"]}
        stage["verdict"] = {"code": "undetermined", "confidence": "hint", "findings": []}
        return stage
    judged = validity(facts, stage, when_full=trial.configuration.load.when_full)
    stage["validity"] = {"status": judged.status, "reasons": list(judged.reasons)}
    if not trial.cross_check:  # k6 cannot know all that a threshold may ask for
        stage["thresholds"] = evaluate(trial.configuration.thresholds, stage)
    cores = run.environment.get("cpu_count")
    known = cores if isinstance(cores, int) else None
    stage["verdict"] = verdict(stage, judged.status, known, asked=_kept_what_was_asked(trial, stage))
    return stage


def _kept_what_was_asked(trial: Trial, stage: Mapping[str, Any]) -> bool:
    """Of a search's probe: whether no condition is known to be broken."""
    asked = evaluate(trial.find.find.until, stage) if trial.find else ()
    return all(each["ok"] or each["value"] is None for each in asked)


def _identity(trial: Trial, facts: TrialFacts | None) -> dict[str, Any]:
    events = facts.events if facts else ()
    return {
        "name": trial.stage.name,
        "engine": trial.configuration.load.engine,
        "target_rps": trial.stage.rps,
        "window_s": trial.stage.duration,
        "warmup_s": trial.stage.warmup,
        "timeout_s": trial.configuration.load.timeout,
        "repeat": trial.repeat,
        "order": trial.order,
        "status": facts.status if facts else "not-run",
        "replicas": getattr(trial.configuration.topology, "replicas", 1),
        "events": [
            {"code": each.code, "message": each.message, "t_s": each.t_s, "log": list(each.log)}
            for each in events
        ],
    }


def _numbers(configuration: Configuration, trial: Trial, facts: TrialFacts | None) -> dict[str, Any]:
    load = facts.load if facts else None
    observed = facts.observed if facts else None
    window_s, peak_s = trial.stage.duration, configuration.metrics.peak_window
    seconds = load.seconds if load else ()
    requests = _requests(seconds)
    actual = _actual_rps(seconds, window_s) if load else None
    cpu = _cpu(observed, window_s, peak_s)
    return {
        "requests": requests,
        "actual_rps": actual,
        "achieved": None if actual is None else round(actual / trial.stage.rps, 6),
        **latencies(load),
        "distribution": distribution(load),
        "cpu_cores": cpu,
        "cpu_cores_by_subject": _by_subject(observed, window_s, peak_s),
        "throttling_by_subject": throttled(observed),
        "requests_by_subject": dict(observed.requests) if observed else {},
        "cpu_us_per_request": _cpu_per_request(cpu, requests["succeeded"], window_s),
        "memory_mib": _memory(observed, window_s),
        **evidence(observed),
        "timeseries": _timeseries(load, observed, window_s),
        "clock": load.clock if load else None,
        "calibration": calibration.as_json(facts.calibration if facts else None),
        "workers": load.workers if load else None,
        "notes": [*(load.notes if load else ()), *(observed.notes if observed else ())],
    }


def _requests(seconds: Sequence[LoadSecond]) -> dict[str, Any]:
    failures: Counter[str] = Counter()
    for second in seconds:
        failures.update(second.failures)
    return {
        "scheduled": sum(second.scheduled for second in seconds),
        "sent": sum(second.sent for second in seconds),
        "succeeded": sum(second.succeeded for second in seconds),
        "failed": failures.total(),
        "dropped": sum(second.dropped for second in seconds),
        "failures": dict(sorted(failures.items())),
    }


def _actual_rps(seconds: Sequence[LoadSecond], window_s: float) -> float:
    """Good answers that arrived in the measured window, by its length."""
    completed = sum(second.completed for second in seconds if 0 <= second.index < window_s)
    return round(completed / window_s, 4)


def _cpu(observed: ObservedFacts | None, window_s: float, peak_s: float) -> dict[str, Any]:
    """Roles that nobody watched are None: not measured is not 0."""
    found = cpu_by_role(observed, window_s, peak_s) if observed else {}
    shown: dict[str, Any] = dict.fromkeys(("app", "generator", "runner", "other", "system"))
    return shown | {str(role): _usage(usage) for role, usage in found.items()}


def _memory(observed: ObservedFacts | None, window_s: float) -> dict[str, Any]:
    found = memory_by_role(observed, window_s) if observed else {}
    shown: dict[str, Any] = {"app": None}
    return shown | {str(role): _usage(usage) for role, usage in found.items()}


def _by_subject(observed: ObservedFacts | None, window_s: float, peak_s: float) -> dict[str, Any]:
    if observed is None:
        return {}
    return {
        subject.name: {
            "role": str(subject.role),
            "cpu": _usage(cpu_of(observed, subject.name, window_s, peak_s)),
        }
        for subject in observed.subjects
    }


def _usage(usage: Usage | None) -> dict[str, float | None] | None:
    if usage is None:
        return None
    return {"avg": round(usage.avg, 4), "peak": None if usage.peak is None else round(usage.peak, 4)}


def _cpu_per_request(cpu: Mapping[str, Any], succeeded: int, window_s: float) -> dict[str, float | None]:
    """CPU time by role for each good answer, in microseconds."""
    return {
        role: round(usage["avg"] * window_s / succeeded * 1e6, 2) if usage and succeeded else None
        for role, usage in cpu.items()
    }


def _timeseries(
    load: LoadFacts | None, observed: ObservedFacts | None, window_s: float
) -> list[dict[str, Any]]:
    if load is None:
        return []
    return [_moment(second, observed) for second in load.seconds if second.index < window_s]


def _moment(second: LoadSecond, observed: ObservedFacts | None) -> dict[str, Any]:
    p95 = second.response_time.percentile_ms(95)
    return {
        "t_s": float(second.index + 1),
        "rps": second.completed,
        "p95_ms": None if p95 is None else round(p95, 4),
        "errors": sum(second.failures.values()) + second.dropped,
        "in_flight": second.in_flight,
        "cpu_app": _cores(observed, Role.APP, second.index),
        "cpu_system": _cores(observed, Role.SYSTEM, second.index),
    }


def _cores(observed: ObservedFacts | None, role: Role, index: int) -> float | None:
    if observed is None:
        return None
    names = [subject.name for subject in observed.subjects if subject.role is role]
    cores = cores_between(observed.samples, names, index, index + 1)
    return None if cores is None else round(cores, 4)
