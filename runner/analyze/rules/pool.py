"""The rule for requests that wait for one of a fixed number of connections to a service.

They wait in the app, or in a service between it and another one, such as a pooler before a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from runner.analyze.little import little
from runner.analyze.rules.idle_cpu import CpuUse, cpu_use
from runner.analyze.rules.parts import word
from runner.analyze.rules.peers import WAITING, Connections, connections, waiting_evidence, who
from runner.analyze.rules.service_statistics import idle_in_transaction, lock_evidence, lock_waits
from runner.analyze.rules.slow_part import unequal_requests_evidence, unequal_requests_phrase
from runner.analyze.rules.types import CPU_LIMITS, OWN_BOUND, Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, Role, RoleName
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.stage_results import Stage
from runner.core.units import percent

_QUEUED: Final = 1.5
"""Requests in flight for each connection from which some waited for one, and not for the service; our own
bound."""
_LEAST_QUEUED: Final = 2.0
_MOSTLY_LOCKED: Final = 0.5
_MAX_DEPTH: Final = 4
_VERBS: Final = {False: "waited", True: "were in use"}
_ADVICE_IF_HELD: Final = (
    "end the transaction on {0} before doing something else that takes time (a call of another service, a "
    "computation), or enlarge {1}'s pool of connections to {0}"
)
_ADVICE: Final = (
    "enlarge {1}'s pool of connections to {0} (or the number of workers, if each has its own), or "
    "shorten the time for which a request holds one; first look for locks and slow statements in {0}, "
    "with which a larger pool would not help"
)


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if all of a constant number of connections wait while requests queue and CPU is idle."""
    pools = list(_pools(stage))
    cpu = cpu_use(stage, cores) if pools else None
    if cpu is None:
        return None
    if cpu.busy:
        return RuledOut(Limit.POOL, cpu.busy)
    full = [pool for pool in pools if not _why_not(stage, pool)]
    return Match(_finding(stage, full[-1], cpu)) if full else RuledOut(Limit.POOL, _why_not(stage, pools[0]))


class _Pool(NamedTuple):
    """The busiest connections of a part.

    Attributes:
        in_flight: Requests in flight in this part.
        held: Connections on which a transaction was open while the part did something else.
    """

    holder: RoleName
    used: Connections
    in_flight: float
    held: float

    @property
    def share(self) -> float:
        """Share of the connections on which a request was in flight, or a transaction was open."""
        used = self.used
        return min(1.0, (used.waiting + self.held) / used.established) if used.established else 0.0

    @property
    def is_held(self) -> bool:
        """Whether open transactions keep the connections, and not requests in flight."""
        return not self.used.all_waited


def _pools(stage: Stage) -> Iterator[_Pool]:
    """Yield the app's, then those of the service that all of them wait for, and so on."""
    holder, in_flight = str(Role.APP), _in_flight(stage)
    for _ in range(_MAX_DEPTH):
        busiest = next(iter(connections(stage, holder)), None)
        if busiest is None:
            return
        held = idle_in_transaction(stage, busiest.service) or 0.0
        yield _Pool(holder, busiest, in_flight, held)
        if not busiest.all_waited:
            return
        holder, in_flight = busiest.service, busiest.waiting


def _why_not(stage: Stage, pool: _Pool) -> str:
    """Return the number that shows that requests did not wait for these connections; empty if they did."""
    return _why_room(pool) or _why_locked(stage, pool.used) or _why_none_queued(pool)


def _why_room(pool: _Pool) -> str:
    """Return the number that shows that the app had a connection left, or could open another one."""
    used = pool.used
    count = f"of {used.established:.1f} connections to {used.service}"
    if pool.share < WAITING:
        return f"requests were in flight on {used.waiting:.1f} {count}"
    return "" if used.is_constant else f"the number {count} changed"


def _why_locked(stage: Stage, pool: Connections) -> str:
    """Return that most connections waited for locks, where the service told that; empty otherwise."""
    waited = lock_waits(stage, pool.service) or 0.0
    if waited < _MOSTLY_LOCKED * pool.established:
        return ""
    count = f"{waited:.1f} of {pool.established:.1f} connections to {pool.service}"
    return f"{count} waited for locks, and so would those of a larger pool"


def _why_none_queued(pool: _Pool) -> str:
    used, in_flight = pool.used, pool.in_flight
    if in_flight >= max(_QUEUED * used.established, used.established + _LEAST_QUEUED):
        return ""
    return (
        f"{in_flight:,.0f} requests were in flight for {used.established:.1f} connections to {used.service}"
    )


def _in_flight(stage: Stage) -> float:
    known = little(stage)
    return known.in_flight if known else 0.0


def _finding(stage: Stage, full: _Pool, cpu: CpuUse) -> Finding:
    holder, pool = who(full.holder), full.used
    within = "" if full.holder == Role.APP else f" in {holder}"
    bound = (WAITING * 100, OWN_BOUND)
    idle = "no processor was used up" if cpu.wanted is None else "the system hardly wanted a processor"
    most = _QUEUED * pool.established
    unequal = unequal_requests_phrase(stage)
    return Finding(
        Limit.POOL,
        Confidence.LIKELY,
        f"{holder} had {pool.established:.0f} connections to {pool.service} all the time, and "
        f"{_how_used(full)}, while {full.in_flight:,.0f} requests were in "
        f"flight{within} and {idle}: the others waited in {holder} for a connection{unequal}",
        (
            *waiting_evidence(stage, pool.service, full.holder),
            *lock_evidence(stage, pool.service),
            *_held_evidence(full),
            Evidence(
                f"connections to {pool.service} that {_VERBS[full.is_held]}", full.share * 100, "%", *bound
            ),
            Evidence(f"requests in flight{within}", full.in_flight, "requests", most, OWN_BOUND),
            *unequal_requests_evidence(stage),
        ),
        (_ADVICE_IF_HELD if full.is_held else _ADVICE).format(pool.service, holder),
        word(pool.service),
    )


def _how_used(full: _Pool) -> str:
    if not full.is_held:
        return f"waited for a response on {percent(full.share)} of them"
    return f"kept a transaction open on {full.held:.1f} of them while it did something else"


def _held_evidence(full: _Pool) -> Iterator[Evidence]:
    if full.is_held:
        yield Evidence(f"connections to {full.used.service} idle in transaction", full.held, "connections")


POOL: Final = Rule(
    Limit.POOL,
    _judge,
    follows=CPU_LIMITS | {Limit.SERVICE, Limit.IO},
    caused_by=frozenset({Cause.POOL}),
    of_whole=lambda _: True,
    inside=True,
)
