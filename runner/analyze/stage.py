"""One stage of the results: the measurements of a trial, their validity, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypedDict

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, replace

from runner.analyze import kernel_counters, validity, verdict
from runner.analyze.calibration import stage_calibration
from runner.analyze.latency import percentiles_of_all
from runner.analyze.measured import Offer, measured, offer_of
from runner.analyze.memory_growth import growth_notes
from runner.analyze.merged_observation import merged
from runner.analyze.node_validity import clock_notes
from runner.analyze.nodes import cpu_of_all, node_results, without_unchanged
from runner.analyze.peers import peer_usages
from runner.analyze.ramp_limit import limited_part
from runner.analyze.resource_usage import (
    cores_between,
    cpu_by_role,
    cpu_of,
    memory_by_role,
    memory_by_second,
    throttling_by_subject,
)
from runner.analyze.runs import all_runs
from runner.analyze.samples import shown_samples
from runner.analyze.scenarios import scenario_parts, with_runs
from runner.analyze.slices import slices, with_cpu
from runner.analyze.statistics import rounded
from runner.analyze.thresholds import evaluate, is_measured
from runner.core.codes import Role, RoleName, StageStatus
from runner.core.facts import Event, RunFacts, TrialFacts
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.measured import Part
from runner.core.metric import Dimension
from runner.core.metrics import find_metric
from runner.core.node_results import NodeResults
from runner.core.observed_facts import ObservedFacts
from runner.core.observed_results import (
    Moment,
    ProgramUsage,
    StageEvent,
    SubjectUsage,
    ThrottlingShare,
    Usage,
)
from runner.core.stage_results import Stage
from runner.core.system_facts import SystemDescription
from runner.core.units import PerSecond, Seconds
from runner.experiment.thresholds import Threshold
from runner.experiment.trials import Trial

_ALWAYS_SHOWN: Final = (Role.APP, Role.GENERATOR, Role.RUNNER, Role.OTHER, Role.SYSTEM)
_NOTHING_OBSERVED: Final = ObservedFacts(subjects=(), samples=())


def stage_of(trial: Trial, facts: TrialFacts | None, run: RunFacts) -> Stage:
    """Return the stage that a trial measured; without facts it was not run."""
    stage = _unjudged(trial, facts)
    if facts is None:
        return stage
    configuration = trial.configuration
    cpu_count = run.environment.get("cpu_count")
    cores = cpu_count if isinstance(cpu_count, int) else None
    stage = replace(
        stage,
        validity=validity.validity(facts, stage, when_full=configuration.load.when_full, cores=cores),
        # k6 does not measure every metric that a threshold can name
        thresholds=() if trial.cross_check else evaluate(configuration.criteria_of(trial.stage), stage),
    )
    judged = verdict.verdict(
        stage,
        cores,
        passed=_is_quick_enough(trial, stage),
        limited=_limited(trial, facts, stage),
        max_in_flight=configuration.load.max_in_flight,
    )
    return replace(stage, verdict=judged, nodes=without_unchanged(stage.nodes))


class _RunFields(TypedDict):
    """The fields of a stage that say how its run went."""

    status: StageStatus
    events: tuple[StageEvent, ...]
    window_at: str | UnsetType


def _of_run(facts: TrialFacts | None) -> _RunFields:
    if facts is None:
        return {"status": StageStatus.NOT_RUN, "events": (), "window_at": UNSET}
    return {
        "status": StageStatus(facts.status),
        "events": tuple(_event(event) for event in facts.events),
        "window_at": facts.window_at or UNSET,
    }


def _limited(trial: Trial, facts: TrialFacts, stage: Stage) -> verdict.Limited | None:
    """Return the part of a ramp that was at its limit, with a stage that has the CPU used in it."""
    part = limited_part(stage)
    if part is None:
        return None
    if not part.is_observed or facts.observed is None:
        return verdict.Limited(part.level, stage)
    observed, length_s = part.of(facts.observed), part.end_s - part.begin_s
    peak_s = trial.configuration.metrics.peak_window
    together = merged(observed)
    own = replace(
        stage,
        cpu_cores=_cpu_cores(observed, together, length_s, peak_s),
        cpu_cores_by_subject=_by_subject(together, length_s, peak_s),
        throttling_by_subject=throttling_by_subject(together),
        nodes=node_results(facts.load, observed, facts.topology, length_s, peak_s),
    )
    return verdict.Limited(part.level, own)


def _cpu_cores(
    observed: ObservedFacts, together: ObservedFacts, window_s: Seconds, peak_s: Seconds
) -> dict[str, Usage | None]:
    """Return the cores of every role over all machines; programs outside are those of this machine."""
    used = cpu_by_role(together, window_s, peak_s)
    if Role.OTHER in used:
        used[Role.OTHER] = cpu_by_role(observed, window_s, peak_s)[Role.OTHER]
    if observed.nodes:
        used |= _of_engines([cpu_by_role(each, window_s, peak_s) for each in observed.nodes.values()])
    return _by_role(_ALWAYS_SHOWN, used)


def _of_engines(nodes: Sequence[Mapping[RoleName, Usage | None]]) -> dict[RoleName, Usage | None]:
    """Return the cores of the engines of all nodes, which have the same names on each, if there are any."""
    engines = [used[Role.DAEMON] for used in nodes if Role.DAEMON in used]
    known = [usage.avg for usage in engines if usage]
    if not engines:
        return {}
    return {Role.DAEMON: Usage(sum(known), None) if len(known) == len(engines) else None}


def _is_quick_enough(trial: Trial, stage: Stage) -> bool:
    """Return whether a probe breaks no condition of its search, and another trial no threshold on times.

    Users that pause are no sign of a limit, and k6 does not measure every metric that a threshold can name.
    """
    is_judged = not (trial.cross_check or stage.scenarios)
    thresholds = trial.configuration.criteria_of(trial.stage) if is_judged else ()
    criteria = trial.find.find.until if trial.find else filter(_is_about_time, thresholds)
    return all(result.ok or not is_measured(result) for result in evaluate(tuple(criteria), stage))


def _is_about_time(threshold: Threshold) -> bool:
    metric = find_metric(threshold.metric)
    return metric is not None and metric.dimension is Dimension.TIME


def _of_engine(load: LoadFacts | None) -> dict[str, Any]:
    """Return the fields of a stage that are those of its load, None without any."""
    fields = {name: getattr(load, name, None) for name in ("clock", "workers", "connections", "drops")}
    return {**fields, "longest_stall_s": load.longest_stall_s if load else 0.0}


class _SubjectFields(TypedDict):
    """The fields of a stage that are about its subjects, over all machines."""

    cpu_cores_by_subject: dict[str, SubjectUsage]
    throttling_by_subject: dict[str, ThrottlingShare]
    requests_by_subject: dict[str, int]
    memory_mib: dict[str, Usage | None]


def _of_subjects(together: ObservedFacts, window_s: Seconds, peak_s: Seconds) -> _SubjectFields:
    return {
        "cpu_cores_by_subject": _by_subject(together, window_s, peak_s),
        "throttling_by_subject": throttling_by_subject(together),
        "requests_by_subject": dict(together.requests),
        "memory_mib": _by_role((Role.APP,), memory_by_role(together, window_s)),
    }


def _unjudged(trial: Trial, facts: TrialFacts | None) -> Stage:
    """Return the measurements, with the validity and verdict of a stage that was not run."""
    configuration, load = trial.configuration, facts.load if facts else None
    observed = (facts.observed if facts else None) or _NOTHING_OBSERVED
    offer, peak_s = _offer(trial, facts), configuration.metrics.peak_window
    whole = with_runs(measured(load, offer, varies=bool(load and load.parts)), load, offer)
    together = merged(observed)
    cpu = _cpu_cores(observed, together, offer.window_s, peak_s)
    system = facts.topology if facts else None
    nodes = node_results(load, observed, system, offer.window_s, peak_s)
    return Stage(
        name=trial.stage.name,
        engine=configuration.load.engine,
        **offer._asdict(),
        timeout_s=configuration.load.timeout,
        repeat=trial.repeat,
        order=trial.order,
        replicas=configuration.topology.replicas,
        **_of_run(facts),
        **asdict(whole),
        cpu_cores=cpu,
        **_of_subjects(together, offer.window_s, peak_s),
        cpu_us_per_request=_cpu_per_response(_with_all_nodes(cpu, nodes, system), whole.actual_rps),
        counters=kernel_counters.readings(observed),
        unreadable=kernel_counters.unreadable(observed),
        timeseries=_timeseries(load, together, offer.window_s),
        programs=tuple(ProgramUsage(**asdict(program)) for program in observed.programs),
        peers=peer_usages(together.peers, offer.window_s),
        nodes=nodes,
        calibration=stage_calibration(facts.calibration if facts else None, offer.highest_rps),
        **_of_engine(load),
        notes=(*(load.notes if load else ()), *_notes(together, nodes, offer, whole.actual_rps)),
        parts=_parts(load, offer),
        samples=shown_samples(load.seconds if load else ()),
        app_output=facts.app_output if facts else (),
        proxy_errors=facts.proxy_errors if facts else (),
        slices=with_cpu(slices(load, offer.level_ramp, offer.window_s, all_runs(load)), together),
        thresholds=(),
        validity=validity.NOT_RUN,
        verdict=verdict.NOT_RUN,
    )


def _notes(
    together: ObservedFacts, nodes: Sequence[NodeResults], offer: Offer, actual_rps: PerSecond | None
) -> Iterator[str]:
    """Yield the notes on a stage that are not about its load."""
    yield from together.notes
    yield from clock_notes(nodes)
    yield from growth_notes(together, offer.window_s, actual_rps)


def _offer(trial: Trial, facts: TrialFacts | None) -> Offer:
    """Return what the trial offered, or would have."""
    if facts:
        return offer_of(facts)
    stage = trial.stage
    lengths = (stage.duration, stage.warmup)
    return Offer(stage.target_rps, *lengths, stage.ramp, stage.user_level, stage.user_rate_level)


def _parts(load: LoadFacts | None, offer: Offer) -> dict[str, Part]:
    """Return what was measured of each request of a mix, or of each scenario and each of its steps."""
    if load and load.scenarios:
        return dict(scenario_parts(load, offer))
    parts = load.parts if load else {}
    return {name: _part(_of_part(load, name), offer, part.share) for name, part in parts.items() if load}


def _part(load: LoadFacts, offer: Offer, share: float) -> Part:
    own = offer._replace(target_rps=None if offer.target_rps is None else offer.target_rps * share)
    return Part(
        target_rps=rounded(own.target_rps, 6),
        samples=shown_samples(load.seconds),
        slices=slices(load, offer.level_ramp, offer.window_s),
        **asdict(measured(load, own, varies=True)),
    )


def _of_part(load: LoadFacts, name: str) -> LoadFacts:
    """Return the facts of one request of a mix, as if it had been offered alone."""
    part = load.parts[name]
    seconds = tuple(
        replace(
            second.parts.get(name, LoadSecond(second.index)), in_flight=round(second.in_flight * part.share)
        )
        for second in load.seconds
    )
    return replace(
        load, planned=part.planned, seconds=seconds, stated_ms=part.stated_ms, backlog=part.backlog, parts={}
    )


def _by_role(shown: Sequence[Role], used: Mapping[RoleName, Usage | None]) -> dict[str, Usage | None]:
    """Return usage by role; roles that were not observed are None, which is not 0."""
    return {str(role): _rounded(used.get(role)) for role in dict.fromkeys((*shown, *used))}


def _by_subject(observed: ObservedFacts, window_s: Seconds, peak_s: Seconds) -> dict[str, SubjectUsage]:
    cpu = {subject: cpu_of(observed, subject.name, window_s, peak_s) for subject in observed.subjects}
    return {subject.name: SubjectUsage(str(subject.role), _rounded(used)) for subject, used in cpu.items()}


def _rounded(usage: Usage | None) -> Usage | None:
    return Usage(round(usage.avg, 4), rounded(usage.peak)) if usage else None


def _with_all_nodes(
    cpu: dict[str, Usage | None], nodes: Sequence[NodeResults], system: SystemDescription | None
) -> dict[str, Usage | None]:
    """Return usage by role, with what all machines used together as that of the system."""
    return cpu | {str(Role.SYSTEM): cpu_of_all(nodes, cpu.get(Role.SYSTEM), system)} if nodes else cpu


def _cpu_per_response(cpu: Mapping[str, Usage | None], actual_rps: float | None) -> dict[str, float | None]:
    """Return the CPU time by role per successful response in the window, in microseconds."""
    return {
        role: round(usage.avg / actual_rps * 1e6, 2) if usage and actual_rps else None
        for role, usage in cpu.items()
    }


def _timeseries(load: LoadFacts | None, observed: ObservedFacts, window_s: Seconds) -> tuple[Moment, ...]:
    seconds = load.seconds if load else ()
    memory = memory_by_second(observed, window_s)
    return tuple(_moment(second, observed, memory) for second in seconds if second.index < window_s)


def _moment(
    second: LoadSecond, observed: ObservedFacts, memory: Mapping[int, dict[RoleName, float]]
) -> Moment:
    return Moment(
        t_s=float(second.index + 1),
        rps=second.completed,
        p95_ms=_p95(second),
        errors=sum(second.failures.values()) + second.dropped,
        in_flight=second.in_flight,
        cpu_app=_cores(observed, Role.APP, second.index),
        cpu_system=_cores(observed, Role.SYSTEM, second.index),
        users=sum(runs.in_flight for runs in second.scenarios.values()) if second.scenarios else UNSET,
        memory_mib=memory.get(second.index, UNSET),
    )


def _p95(second: LoadSecond) -> float | None:
    """Return the p95 response time of the requests that ended in a second; None where it is not finite.

    Users have no response time: theirs is the p95 duration.
    """
    lost = sum(second.failures.values()) + second.dropped
    times = second.response_time if second.response_time.counts else second.duration
    return rounded(percentiles_of_all(times, lost, [95])[0]) if times.counts else None


def _cores(observed: ObservedFacts, role: Role, index: int) -> float | None:
    names = [subject.name for subject in observed.subjects if subject.role == role]
    return rounded(cores_between(observed.samples, names, index, index + 1))


def _event(event: Event) -> StageEvent:
    return StageEvent(event.code, event.message, event.t_s, event.log, event.node or UNSET)
