"""The rules for CPU limits: one saturated thread, the proxy, docker-proxy, the whole host."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from msgspec import structs

from runner.analyze import programs
from runner.analyze.kernel_counters import gc_evidence, is_local
from runner.analyze.rules.cpu_bounds import full_cpu_set
from runner.analyze.rules.parts import (
    HOST_FULL,
    Consumer,
    host_is_full,
    host_use,
    largest_consumer,
    roles,
    used_by,
)
from runner.analyze.rules.peers import connections
from runner.analyze.rules.quota import quota_of_proxy
from runner.analyze.rules.threads import (
    IDLE_THREAD,
    ONE_CORE,
    busiest_thread,
    many_wanted,
    ready_evidence,
    serial_process,
    threads,
    wanted_in_turn,
)
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, Role
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.stage_results import Stage
from runner.core.units import percent

NEARLY_FULL: Final = 0.85
"""Host CPU from which none is left for a chain of processes: each hand-over leaves a core idle for a moment.
Our own bound: a busy generator, docker-proxy and service were observed to leave 12 % of two cores idle."""
_CHEAPER_APP: Final = "add a replica or a worker process, or reduce the CPU cost of a request"
_SHOWN: Final = 3
_STOP_OTHERS: Final = (
    "stop other programs on this host, or give the stack its own processors (topology.cpus; cpuset in a "
    "compose file)"
)
_STOP_OTHERS_ON_NODE: Final = (
    "stop other programs on {node}, or place the parts of the system on nodes of their own (nodes of "
    "topology.app and of services)"
)


def _likely(
    limit: Limit, summary: str, evidence: tuple[Evidence, ...], advice: str, node_advice: str = ""
) -> Match:
    """Return a finding that is likely: only a counter-experiment proves a CPU limit."""
    return Match(Finding(limit, Confidence.LIKELY, summary, evidence, advice), node_advice=node_advice)


def _app(stage: Stage, cores: int | None) -> Judgement:
    """Match if one thread saturates a core: an event loop or an interpreter lock cannot use a second one."""
    busiest = busiest_thread(stage, Role.APP)
    if busiest is None:
        return _app_by_role(stage, cores)
    if not busiest.is_full:
        why = f"the app's busiest thread used {busiest.used:.2f} of a core"
        return _all_allowed_cpus(stage, cores) or _one_at_a_time(stage, cores) or RuledOut(Limit.APP_CPU, why)
    used = used_by(stage, Role.APP)
    of_all = () if used is None else (Evidence("app CPU", used, "cores"),)
    return _likely(
        Limit.APP_CPU,
        f"a thread of {busiest.describe(host_use(stage, cores))}",
        (*busiest.evidence("thread"), *of_all, *gc_evidence(stage)),
        _CHEAPER_APP,
    )


def _one_at_a_time(stage: Stage, cores: int | None) -> Match | None:
    """Match if the threads of a process together use one core of a host that has more to spare.

    They may use as much by chance while they wait for a service.
    """
    process = serial_process(stage, Role.APP)
    throttled = any(share.throttled for share in stage.throttling_by_subject.values())
    waits = any(it.all_waited for it in connections(stage))
    if process is None or throttled or waits or host_is_full(stage, cores, NEARLY_FULL):
        return None
    return _likely(
        Limit.APP_CPU,
        f"the threads of a process of {process.name} together used {process.used:.2f} of a core"
        f"{host_use(stage, cores)}: only one of them runs at a time (an interpreter lock, GOMAXPROCS=1)",
        (process.evidence(), *gc_evidence(stage)),
        _CHEAPER_APP,
    )


def _all_allowed_cpus(stage: Stage, cores: int | None) -> Match | None:
    """Match if an app is bound to some of the processors and saturates them with any number of threads."""
    full = full_cpu_set(stage, cores, Role.APP)
    if full is None:
        return None
    return _likely(
        Limit.APP_CPU,
        full.describe("the app", host_use(stage, cores)),
        full.evidence("app CPU"),
        "let it run on more processors (topology.cpus), or reduce the CPU cost of a request",
        "let {node}'s engine run it on more processors, or reduce the CPU cost of a request",
    )


def _app_by_role(stage: Stage, cores: int | None) -> Judgement:
    """Match, if threads were not observed, when a single app uses about one core."""
    used = used_by(stage, Role.APP)
    if used is None or stage.replicas != 1:
        return None
    if not ONE_CORE <= used <= 1.1:
        return RuledOut(Limit.APP_CPU, f"the app used {used:.2f} cores")
    return _likely(
        Limit.APP_CPU,
        f"the app used {used:.2f} cores{host_use(stage, cores)}: a thread cannot use more than one core",
        (Evidence("app CPU", used, "cores", ONE_CORE, "one thread, one core"),),
        _CHEAPER_APP,
    )


def _proxy(stage: Stage, cores: int | None) -> Judgement:
    """Match if its CPU quota stops the proxy, or if one of its workers saturates a core."""
    if throttled := quota_of_proxy(stage):
        return throttled
    busiest = busiest_thread(stage, Role.PROXY)
    if busiest is None:
        return None
    if not busiest.is_full:
        return RuledOut(Limit.PROXY_CPU, f"the proxy's busiest worker used {busiest.used:.2f} of a core")
    return _likely(
        Limit.PROXY_CPU,
        f"a worker of {busiest.describe(host_use(stage, cores))}",
        tuple(busiest.evidence("worker")),
        "give the proxy more workers, let it do less for each request (compression, TLS, new connections to "
        "the app: proxy.keepalive), or remove it",
    )


def _forwarder(stage: Stage, cores: int | None) -> Judgement:
    """Match if, on an almost full host, docker-proxy uses more CPU than all services that it forwards to."""
    used = used_by(stage, Role.FORWARDER)
    if used is None:
        return None
    served = (used_by(stage, Role.APP) or 0.0) + (used_by(stage, Role.PROXY) or 0.0)
    if not host_is_full(stage, cores, NEARLY_FULL) or used <= served:
        why = f"docker-proxy used {used:.2f} cores, the services behind it {served:.2f}"
        return RuledOut(Limit.FORWARDER, why)
    return _likely(
        Limit.FORWARDER,
        f"docker-proxy used {used:.2f} cores of a busy host, more than all services behind it together "
        f"({served:.2f})",
        (Evidence("docker-proxy CPU", used, "cores"), Evidence("app and proxy CPU", served, "cores")),
        "connect to the container's own address (publish: container), or use network: host",
        "use topology.path overlay or host, which reach the tasks without docker-proxy",
    )


def _host(stage: Stage, cores: int | None) -> Judgement:
    """Match if no CPU is left, or if other programs keep a thread of the system under test waiting."""
    used = used_by(stage, Role.SYSTEM)
    if not cores or used is None:
        return None
    summary = f"the host used {used:.2f} of its {cores} cores"
    if not host_is_full(stage, cores):
        waiting = _waiting_thread(stage, cores) or RuledOut(Limit.HOST_CPU, summary)
        return waiting if is_local(stage) else None
    largest = largest_consumer(stage)
    wanted = None if largest.is_part(stage) else wanted_in_turn(stage)
    if wanted is not None and wanted <= IDLE_THREAD and not many_wanted(stage):
        why = (
            f"{summary}, most of it by {largest.name}, but the system's busiest threads together ran or were "
            f"ready to run for only {percent(wanted)} of the time"
        )
        return RuledOut(Limit.HOST_CPU, why)
    match = _likely(
        Limit.HOST_CPU,
        f"{summary}, so no CPU was left; the largest consumer was {largest.name} with {largest.cores:.2f} "
        "cores",
        (
            Evidence("host CPU", used, "cores", HOST_FULL * cores, "netdata: 95 % is critical"),
            Evidence(f"CPU of {largest.name}", largest.cores, "cores"),
            *(() if wanted is None else ready_evidence(stage, wanted)),
            *_strangers(stage),
        ),
        _host_advice(stage, largest),
        "" if largest.is_part(stage) or largest.role == Role.GENERATOR else _STOP_OTHERS_ON_NODE,
    )
    is_observed = any(used_by(stage, role) is not None for role in roles(stage))
    if largest.is_stranger and not is_observed:  # whether the system wanted a processor is not known
        return replace(match, finding=structs.replace(match.finding, confidence=Confidence.HINT))
    return match


def _waiting_thread(stage: Stage, cores: int) -> Match | None:
    """Match if a thread always wanted a processor and got none, because other programs used them.

    A quota makes threads wait as well, and an app that saturates the processors it may use limits itself.
    """
    parts = roles(stage)
    candidates = [thread for role in parts for thread in threads(stage, role)]
    if not candidates or any(full_cpu_set(stage, cores, role) for role in parts):
        return None
    thread = max(candidates, key=lambda candidate: candidate.wanted)
    if thread.wanted < ONE_CORE or thread.is_full:
        return None
    return _likely(
        Limit.HOST_CPU,
        f"a thread of {thread.name} was ready to run {percent(thread.wanted)} of the time, but no thread "
        f"had a processor for more than {percent(thread.used)} of it{host_use(stage, cores)}: what "
        "else ran used the processors that it may run on",
        (
            thread.wanted_evidence(),
            Evidence(f"busiest thread of {thread.name}", thread.used, "cores"),
            *_strangers(stage),
        ),
        _STOP_OTHERS,
        _STOP_OTHERS_ON_NODE,
    )


def _strangers(stage: Stage) -> tuple[Evidence, ...]:
    """Return the CPU of the busiest programs that have nothing to do with the experiment."""
    busiest = programs.strangers(stage)[:_SHOWN]
    return tuple(Evidence(f"CPU of {programs.name_of(it)}", it.cores, "cores") for it in busiest)


def _host_advice(stage: Stage, largest: Consumer) -> str:
    """Return what to do about a full host, by who used most CPU."""
    if largest.role == Role.GENERATOR:
        return "run the generator on another machine"
    if not largest.is_part(stage):
        return _STOP_OTHERS
    return "reduce the CPU cost of a request (see CPU usage by component), or give the host more cores"


APP: Final = Rule(Limit.APP_CPU, _app, caused_by=frozenset({Cause.APP}), saturated_role=Role.APP)
_PROXY_CAUSES: Final = frozenset({Cause.PROXY, Cause.PROXY_WORKERS})
PROXY: Final = Rule(Limit.PROXY_CPU, _proxy, caused_by=_PROXY_CAUSES, saturated_role=Role.PROXY)
FORWARDER: Final = Rule(
    Limit.FORWARDER, _forwarder, caused_by=frozenset({Cause.DOCKER_PROXY}), saturated_role=Role.FORWARDER
)
HOST: Final = Rule(Limit.HOST_CPU, _host, saturated_role=Role.SYSTEM)
