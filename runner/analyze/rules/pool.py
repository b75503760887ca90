"""The rule for requests that wait inside the app for one of a fixed number of connections to a service."""

from __future__ import annotations

from typing import Final

from runner.analyze.little import little
from runner.analyze.rules.idle_cpu import CpuUse, cpu_use
from runner.analyze.rules.parts import word
from runner.analyze.rules.peers import WAITING, Connections, connections, waiting_evidence
from runner.analyze.rules.service_statistics import lock_evidence, lock_waits
from runner.analyze.rules.types import CPU_LIMITS, OWN_BOUND, Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.stage_results import Stage
from runner.core.units import percent

_QUEUED: Final = 1.5
"""Requests in flight for each connection from which some waited for one, and not for the service; our own
bound."""
_LEAST_QUEUED: Final = 2.0
_MOSTLY_LOCKED: Final = 0.5
_ADVICE: Final = (
    "enlarge the app's pool of connections to {0} (or the number of workers, if each has its own), or "
    "shorten the time for which a request holds one; first look for locks and slow statements in {0}, "
    "with which a larger pool would not help"
)


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if all of a constant number of connections wait while requests queue and CPU is idle."""
    known = connections(stage)
    if not known:
        return None
    cpu = cpu_use(stage, cores)
    if cpu is None:
        return None
    busiest = known[0]
    why = cpu.busy or _why_room(busiest) or _why_locked(stage, busiest) or _why_none_queued(stage, busiest)
    return RuledOut(Limit.POOL, why) if why else Match(_finding(stage, busiest, cpu))


def _why_room(pool: Connections) -> str:
    """Return the number that shows that the app had a connection left, or could open another one."""
    count = f"of {pool.established:.1f} connections to {pool.service}"
    if not pool.all_waited:
        return f"requests were in flight on {pool.waiting:.1f} {count}"
    return "" if pool.is_constant else f"the number {count} changed"


def _why_locked(stage: Stage, pool: Connections) -> str:
    """Return that most connections waited for locks, where the service told that; empty otherwise."""
    waited = lock_waits(stage, pool.service) or 0.0
    if waited < _MOSTLY_LOCKED * pool.established:
        return ""
    count = f"{waited:.1f} of {pool.established:.1f} connections to {pool.service}"
    return f"{count} waited for locks, and so would those of a larger pool"


def _why_none_queued(stage: Stage, pool: Connections) -> str:
    in_flight = _in_flight(stage)
    if in_flight >= max(_QUEUED * pool.established, pool.established + _LEAST_QUEUED):
        return ""
    return (
        f"{in_flight:,.0f} requests were in flight for {pool.established:.1f} connections to {pool.service}"
    )


def _in_flight(stage: Stage) -> float:
    known = little(stage)
    return known.in_flight if known else 0.0


def _finding(stage: Stage, pool: Connections, cpu: CpuUse) -> Finding:
    in_flight = _in_flight(stage)
    bound = (WAITING * 100, OWN_BOUND)
    idle = "no processor was used up" if cpu.wanted is None else "the system hardly wanted a processor"
    return Finding(
        Limit.POOL,
        Confidence.LIKELY,
        f"the app had {pool.established:.0f} connections to {pool.service} all the time, and waited for a "
        f"response on {percent(pool.share)} of them, while {in_flight:,.0f} requests were in flight and "
        f"{idle}: the others waited in the app for a connection",
        (
            *waiting_evidence(stage, pool.service),
            *lock_evidence(stage, pool.service),
            Evidence(f"connections to {pool.service} that waited", pool.share * 100, "%", *bound),
            Evidence("requests in flight", in_flight, "requests", _QUEUED * pool.established, OWN_BOUND),
        ),
        _ADVICE.format(pool.service),
        word(pool.service),
    )


POOL: Final = Rule(
    Limit.POOL,
    _judge,
    follows=CPU_LIMITS | {Limit.SERVICE, Limit.IO},
    caused_by=frozenset({Cause.POOL}),
    of_whole=lambda _: True,
    inside=True,
)
