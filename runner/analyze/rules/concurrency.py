"""The rule for requests that wait inside the app although CPU is available."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET

from runner.analyze.growth import grew, queue_is_full
from runner.analyze.kernel_counters import gc_evidence
from runner.analyze.little import Little, little
from runner.analyze.rules.idle_cpu import IDLE_HOST, CpuUse, cpu_use
from runner.analyze.rules.not_accepted import not_accepted
from runner.analyze.rules.parts import host_cpu, host_name, word
from runner.analyze.rules.peers import Connections, connections, waiting_evidence
from runner.analyze.rules.service_statistics import lock_evidence, lock_waits
from runner.analyze.rules.slow_part import unequal_requests_evidence, unequal_requests_phrase
from runner.analyze.rules.threads import wanted_evidence
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Confidence, Limit
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.stage_results import Stage

_MIN_IN_FLIGHT: Final = 2.0
_SOME: Final = 0.5
"""Connections that waited for locks, on average, from which these are worth a sentence."""
_ADVICE: Final = "look for a limited resource: workers, threads, a connection pool, a lock, a slow dependency"
_ADVICE_OF_PEER: Final = "look for locks, slow statements and waits for disk in {}"
_ADVICE_OF_LOCKS: Final = (
    "find what holds the locks in {} (PostgreSQL: pg_blocking_pids()), and hold them for a shorter time "
    "or on fewer rows; more connections or CPU do not help"
)
_MOSTLY: Final = 0.5
"""Share of what waits that waits for locks, or to be accepted, from which that is what to look at."""


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if requests pile up although CPU is available: slots, locks, a pool, a slow dependency."""
    cpu = cpu_use(stage, cores)
    if cpu is None:
        return None
    if cpu.busy:
        return _ruled_out(cpu.busy)
    known = little(stage)
    if stage.engine == "k6":
        return None  # it does not report how many requests were in flight
    why = _why_none_waited(stage, known)
    if why or known is None:
        return _ruled_out(why)
    return Match(_finding(stage, known, cpu, cores or 0))


def _why_none_waited(stage: Stage, known: Little | None) -> str:
    """Return the number that shows that requests did not pile up inside the service; empty if they did."""
    if known is None or known.in_flight < _MIN_IN_FLIGHT:
        return "no requests were waiting"
    if not known.agrees:
        return (
            f"{known.in_flight:,.0f} requests were counted in flight, but by Little's law the responses "
            f"account for {known.expected:,.0f}"
        )
    if stage.users is None and not (queue_is_full(stage) or grew(stage)):
        return "the number of requests in flight did not grow"
    return ""


def _finding(stage: Stage, known: Little, cpu: CpuUse, cores: int) -> Finding:
    """Return that requests waited, and for which service if connections to it show that."""
    may = "may have " if cpu.is_doubtful else ""
    host = f"{host_name(stage)} used {cpu.system:.2f} of {cores} cores"
    if cpu.wanted is not None:
        host += (
            ", mostly for other programs, and the busiest threads of the system together wanted no more than "
            f"{cpu.wanted:.2f}"
        )
    peer = next((it for it in connections(stage) if it.all_waited), None)
    queued = not_accepted(stage, peer, known.in_flight)
    more = f"{queued.phrase if queued else ''}{unequal_requests_phrase(stage)}"
    return Finding(
        Limit.APP_CONCURRENCY,
        Confidence.HINT if cpu.is_doubtful else Confidence.LIKELY,
        f"{known.in_flight:,.0f} requests were in flight on average while {host}: they {may}waited "
        f"inside the service, not for CPU{_for_whom(stage, peer)}{more}",
        (
            Evidence("requests in flight", known.in_flight, "requests"),
            *_idle(stage, cpu, cores),
            Evidence("rate x response time (Little's law)", known.expected, "requests"),
            *(waiting_evidence(stage, peer.service) if peer else ()),
            *(lock_evidence(stage, peer.service) if peer else ()),
            *([queued.evidence] if queued else ()),
            *unequal_requests_evidence(stage),
            *gc_evidence(stage),
        ),
        f"{queued.advice if queued else ''}{_advice(stage, peer)}",
        word(peer.service) if peer else UNSET,
    )


def _advice(stage: Stage, peer: Connections | None) -> str:
    if peer is None:
        return _ADVICE
    locked = lock_waits(stage, peer.service) or 0.0
    advice = _ADVICE_OF_LOCKS if locked >= max(_SOME, _MOSTLY * peer.waiting) else _ADVICE_OF_PEER
    return advice.format(peer.service)


def _idle(stage: Stage, cpu: CpuUse, cores: int) -> Iterator[Evidence]:
    """Yield what shows that CPU was available: on a host full of other programs, how little was wanted."""
    if cpu.wanted is None:
        yield Evidence(host_cpu(stage), cpu.system, "cores", IDLE_HOST * cores, "netdata: 85 % is a warning")
        return
    yield Evidence(host_cpu(stage), cpu.system, "cores")
    yield wanted_evidence(cpu.wanted)


def _for_whom(stage: Stage, peer: Connections | None) -> str:
    """Return that the app's connections to a service waited; empty without such a service."""
    if peer is None:
        return ""
    locked = lock_waits(stage, peer.service) or 0.0
    if locked >= _SOME:
        return (
            f"; {peer.waiting:.1f} of {peer.established:.1f} connections to {peer.service} waited for a "
            f"response, {locked:.1f} of them for locks in it"
        )
    return (
        f"; {peer.waiting:.1f} of {peer.established:.1f} connections to {peer.service} waited for a "
        "response, which it gave slowly without using up a processor: locks, disk or a dependency of its own"
    )


def _ruled_out(why: str) -> RuledOut:
    return RuledOut(Limit.APP_CONCURRENCY, why)


CONCURRENCY: Final = Rule(
    Limit.APP_CONCURRENCY,
    _judge,
    follows=frozenset(Limit) - {Limit.APP_CONCURRENCY},
    of_whole=lambda _: True,
    inside=True,
)
