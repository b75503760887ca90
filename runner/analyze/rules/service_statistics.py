"""What databases and caches told about themselves, as evidence: connections, and waits for locks.

The specification may give credentials for that. Without any, only PostgreSQL tells of waits for locks, in the
titles of its processes; no rule depends on the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.analyze.kernel_counters import counter_evidence, counters
from runner.core.findings import Evidence
from runner.core.observed_results import CounterReading
from runner.core.stage_results import Stage

_LOCK_WAITS: Final = ("pg.lock_waits", "mysql.lock_waits", "titles.lock_waits")
_IDLE_IN_TRANSACTION: Final = ("pg.idle_in_transaction", "titles.idle_in_transaction")
_CONNECTIONS: Final = ("pg.connections", "mysql.connections", "redis.clients")
_RUNNING: Final = ("pg.active", "mysql.running")
_REFUSED: Final = ("mysql.refused", "redis.rejected_connections")
_FULL: Final = 0.95
_OWN_LIMIT: Final = "its own limit"


def lock_waits(stage: Stage, service: str) -> float | None:
    """Return how many connections of a service waited for a lock on average; None if that is not known."""
    known = _of(stage, _LOCK_WAITS, service)
    return known.after if known else None


def idle_in_transaction(stage: Stage, service: str) -> float | None:
    """Return on how many connections a transaction was open while the client did something else."""
    known = _of(stage, _IDLE_IN_TRANSACTION, service)
    return known.after if known else None


def lock_evidence(stage: Stage, service: str) -> tuple[Evidence, ...]:
    """Return how many connections waited for a lock."""
    waited = lock_waits(stage, service)
    name = f"connections of {service} that waited for locks"
    return () if waited is None else (Evidence(name, waited, "connections"),)


def in_use(stage: Stage, service: str) -> tuple[CounterReading, CounterReading] | None:
    """Return a service's connections, and those on which a statement ran; None if that is not known."""
    connections, running = _of(stage, _CONNECTIONS, service), _of(stage, _RUNNING, service)
    return (connections, running) if connections and running else None


def observed(stage: Stage) -> list[str]:
    """Return the services that told how many connections they have."""
    return list(dict.fromkeys(counter.scope for name in _CONNECTIONS for counter in counters(stage, name)))


@dataclass(frozen=True, slots=True)
class FullService:
    """A service that has as many connections as it may have, or refused some."""

    service: str
    evidence: tuple[Evidence, ...]

    @property
    def advice(self) -> str:
        """What to do if requests fail meanwhile."""
        return (
            f"{self.service} has as many connections as it may have: let the app keep fewer of them open (a "
            f"pool), or raise the limit of {self.service}; read the service's log for these requests"
        )


def full_service(stage: Stage) -> FullService | None:
    """Return a service without room for connections; None if there is none, or none that told."""
    for service in observed(stage):
        refused = _of(stage, _REFUSED, service)
        if refused and refused.delta:
            return FullService(service, (counter_evidence(refused, f"connections that {service} refused"),))
        used = _of(stage, _CONNECTIONS, service)
        if used and used.limit and (used.peak or 0.0) >= _FULL * used.limit:
            return FullService(service, (_level(service, used),))
    return None


def levels_of_services(stage: Stage) -> Iterator[Evidence]:
    """Yield each service's peak of connections against its own limit, whether or not it was reached."""
    for service in observed(stage):
        used = _of(stage, _CONNECTIONS, service)
        if used and used.limit:
            yield _level(service, used)


def _level(service: str, used: CounterReading) -> Evidence:
    name = f"peak of connections of {service}"
    return Evidence(name, used.peak or 0.0, "connections", used.limit, _OWN_LIMIT)


def _of(stage: Stage, names: tuple[str, ...], service: str) -> CounterReading | None:
    known = (counter for name in names for counter in counters(stage, name) if counter.scope == service)
    return next(known, None)
