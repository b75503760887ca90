"""The rule for requests that wait inside the app although CPU is available."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.analyze.growth import grew, queue_is_full
from runner.analyze.kernel_counters import counters, gc_evidence, is_local, stolen_cores
from runner.analyze.little import Little, little
from runner.analyze.rules.threads import largest_consumer, most_wanted
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Confidence, Limit, Role
from runner.core.results import Evidence, Finding, RuledOut, Stage

IDLE_HOST: Final = 0.85
"""Host CPU up to which some is available (netdata's warning alarm)."""
BUSY_THREAD: Final = 0.8
BUSY_UNOBSERVED: Final = 0.5
"""The same for programs that are not observed: only their sum is known, and above this, one of their threads
may have been busy whenever a request was in flight. Our own bound."""
UNEQUAL: Final = 10.0
"""Median duration of a mix's slowest request, divided by that of its fastest; our own bound."""
_MIN_IN_FLIGHT: Final = 2.0
_APART: Final = 0.05


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if requests pile up although CPU is available: slots, locks, a pool, a slow dependency."""
    system, busiest = stage.cpu_cores.get(Role.SYSTEM), _busiest(stage)
    if not cores or system is None or busiest is None:
        return None
    wanted = max((counter.after for counter in counters(stage, "threads.runnable_share")), default=0.0)
    busy_host, busy_thread = system.avg > IDLE_HOST * cores, max(busiest.used, wanted) > busiest.bound
    by_others = busy_host and largest_consumer(stage) == Role.OTHER and not busy_thread
    if by_others and most_wanted(stage) is None:
        return None
    if (busy_host and not by_others) or busy_thread:
        return _ruled_out(
            f"CPU was busy: the host {system.avg:.2f} of {cores} cores, {busiest.name} {busiest.used:.2f}"
            + (f", one thread wanted {wanted:.2f}" if wanted > busiest.used + _APART else "")
        )
    known = little(stage)
    why = _why_none_waited(stage, known)
    if why or known is None:
        return _ruled_out(why)
    return Match(_finding(stage, known, system.avg, cores, wanted if by_others else None))


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


def _finding(stage: Stage, known: Little, used: float, cores: int, wanted: float | None) -> Finding:
    """Return that requests waited; `wanted` by the busiest thread, if other programs kept the host busy."""
    host, where = f"the host used {used:.2f} of {cores} cores", "they waited inside the service, not for CPU"
    if wanted is not None:
        host += f", mostly for other programs, and no thread of the service wanted more than {wanted:.2f}"
        where = "they may have waited inside the service, not for CPU"
    return Finding(
        Limit.APP_CONCURRENCY,
        Confidence.LIKELY if wanted is None else Confidence.HINT,
        f"{known.in_flight:,.0f} requests were in flight on average while {host}: {where}",
        (
            Evidence("requests in flight", known.in_flight, "requests"),
            Evidence("host CPU", used, "cores", IDLE_HOST * cores, "netdata: 85 % is a warning"),
            Evidence("rate x response time (Little's law)", known.expected, "requests"),
            *_unequal_requests(stage),
            *gc_evidence(stage),
        ),
        "look for a limited resource: workers, threads, a connection pool, a lock, a slow dependency",
    )


def _unequal_requests(stage: Stage) -> Iterator[Evidence]:
    """Yield the durations of two requests of a mix that differ so much that they did not wait for the same.

    A lack of CPU slows down all requests of a process; a pool or a lock, only those that need it.
    """
    medians = {name: stage.part(name).duration_ms.p50 for name in stage.parts}
    known = sorted((median, name) for name, median in medians.items() if median is not None)
    if len(known) > 1 and known[-1][0] > UNEQUAL * known[0][0]:
        for median, name in (known[-1], known[0]):
            yield Evidence(f"median duration of {name}", median, "ms")


def _ruled_out(why: str) -> RuledOut:
    return RuledOut(Limit.APP_CONCURRENCY, why)


@dataclass(frozen=True, slots=True)
class _Busiest:
    """What was measured, the share of a core that a thread used at most, and up to where that is idle."""

    name: str
    used: float
    bound: float


def _busiest(stage: Stage) -> _Busiest | None:
    """Return the bound; None if nothing was measured.

    A service on this host that is not observed can have used all CPU that no observed role used, and it may
    have needed what the hypervisor took.
    """
    threads = [counter.after for counter in counters(stage, "threads.hottest_cores")]
    if threads:
        return _Busiest("the busiest thread", max(threads), BUSY_THREAD)
    if own := stage.cpu_cores.get(Role.APP):
        return _Busiest("the app", own.avg, BUSY_THREAD)
    other = stage.cpu_cores.get(Role.OTHER) if is_local(stage) else None
    if other is None:
        return None
    return _Busiest("programs that were not observed", other.avg + stolen_cores(stage), BUSY_UNOBSERVED)


CONCURRENCY: Final = Rule(Limit.APP_CONCURRENCY, _judge, follows=frozenset(Limit) - {Limit.APP_CONCURRENCY})
