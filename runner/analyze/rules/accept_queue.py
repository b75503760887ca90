"""What an accept queue that overflowed shows: a burst, or a service that accepts too slowly all the time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Final

from msgspec import structs

from runner.analyze.kernel_counters import counter_evidence, counters_with_prefix, increase, is_of_service
from runner.analyze.rules.connection_signs import Level, fullest, increases, slow_to_accept
from runner.analyze.rules.parts import word
from runner.analyze.rules.types import OWN_BOUND, Match
from runner.core.codes import Confidence
from runner.core.findings import Evidence
from runner.core.observed_results import CounterReading
from runner.core.stage_results import Stage

ALWAYS_FULL: Final = 0.9
"""Average length of an accept queue, as a share of what it holds, from which it was always full; our own
bound. One that is emptied again and again is full for moments, and a longer one would lose nothing."""
SYN_REPEATED: Final = 0.01
"""Share of the requests whose connection attempt was dropped or repeated, from which that may be a limit; our
own bound."""
_DROPS: Final = "tcp.listener_drops."
_TITLE: Final = "accept queue overflows"
_SNMP: Final = "Linux, snmp_counter.rst: any overflow is a dropped connection"
_BURSTS: Final = "was full {:,.0f} times, so connections were dropped"
_ALWAYS: Final = (
    "was full all the time, and dropped {:,.0f} connections: the service accepted them as fast as it could, "
    "and in a longer queue they would only wait longer"
)
_ADVICE_FOR_BURSTS: Final = (
    "increase the backlog (listen() and net.core.somaxconn), accept faster, or use keep-alive connections"
)
_ADVICE_FOR_ALWAYS: Final = (
    "find what keeps the service from accepting, such as too few workers or threads; a larger backlog does "
    "not help"
)


def overflows(stage: Stage) -> Match | None:
    """Match if an accept queue of the app or the proxy overflowed.

    The listeners' own drops prove it; the count of a network namespace may come from another program.
    """
    own = [c for c in counters_with_prefix(stage, _DROPS) if not is_of_service(stage, c)]
    lost = sum(counter.delta or 0 for counter in own) if own else increase(stage, "tcp.listen_overflows")
    if not lost:
        return None
    names = [counter.name for counter in own] or ["tcp.listen_overflows"]
    lists = [increases(stage, name, _TITLE, threshold=1, source=_SNMP) for name in names]
    queue = fullest(queue for queue in _queues(stage) if not is_of_service(stage, queue))
    confidence = Confidence.PROVEN if own else Confidence.LIKELY
    return _finding(stage, "the accept queue", queue, lost, tuple(chain(*lists)), confidence)


def overflows_of_services(stage: Stage) -> Match | None:
    """Match if the accept queue of a service overflowed, so that the app waited for its connections to it."""
    lost = [c for c in counters_with_prefix(stage, _DROPS) if is_of_service(stage, c) and c.delta]
    if not lost:
        return None
    worst = max(lost, key=lambda counter: counter.delta or 0)
    port, subject = worst.name.rpartition(".")[2], worst.scope.removeprefix("net:")
    service = stage.cpu_cores_by_subject[subject].role
    queue = fullest(it for it in _queues(stage, port) if it.scope == worst.scope)
    overflow = counter_evidence(worst, f"{_TITLE} ({subject})", threshold=1, source=_SNMP)
    match = _finding(
        stage, f"the accept queue of {service}", queue, worst.delta or 0, (overflow,), Confidence.LIKELY
    )
    return replace(match, finding=structs.replace(match.finding, service=word(service)))


def _finding(
    stage: Stage,
    name: str,
    queue: Level | None,
    lost: float,
    evidence: tuple[Evidence, ...],
    confidence: Confidence,
) -> Match:
    always = queue if queue and queue.average >= ALWAYS_FULL * _size(queue) else None
    few = lost < SYN_REPEATED * stage.requests.sent
    where = f" (port {queue.name.rpartition('.')[2]}, length {queue.limit:,.0f})" if queue else ""
    match = slow_to_accept(
        f"{name}{where} {(_ALWAYS if always else _BURSTS).format(lost)}"
        + (f", which is few for {stage.requests.sent:,} requests" if few else ""),
        (
            *evidence,
            *increases(stage, "tcp.syn_retransmits", "retransmitted SYNs"),
            *([_length(always)] if always else []),
        ),
        _ADVICE_FOR_ALWAYS if always else _ADVICE_FOR_BURSTS,
        Confidence.HINT if few else confidence,
        always=always is not None,
    )
    return replace(match, explains=not few)


def _queues(stage: Stage, port: str = "") -> Iterator[CounterReading]:
    return counters_with_prefix(stage, f"tcp.accept_queue.{port}")


def _length(queue: Level) -> Evidence:
    name, bound = "average length of the accept queue", ALWAYS_FULL * _size(queue)
    return Evidence(name, queue.average, "connections", bound, OWN_BOUND)


def _size(queue: Level) -> float:
    """Return how many connections a queue holds: one more than its limit (Linux, sk_acceptq_is_full)."""
    return queue.limit + 1
