"""The connections of the app, or of a service, to services: how many, and how many waited.

Samples of the app's sockets tell that; where there are none, what the service tells about itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from runner.analyze.rules.service_statistics import in_use, observed
from runner.core.codes import Role, RoleName, is_service
from runner.core.findings import Evidence
from runner.core.observed_results import PeerUsage
from runner.core.stage_results import Stage

WAITING: Final = 0.8
"""Share of connections on which a request was in flight from which they waited nearly all the time; our own
bound."""
_STEADY: Final = 1
_LEAST_SAMPLES: Final = 2
_TITLE: Final = "requests in flight to {}"


@dataclass(frozen=True, slots=True)
class Connections:
    """All connections of the app's replicas, or of a service, to one service.

    Attributes:
        service: Name of the service; of a program outside the experiment its name, or else its address.
        established: Average number.
        waiting: Average number of those on which a request was in flight.
        is_constant: Their number did not change by more than one per replica.
    """

    service: str
    established: float
    waiting: float
    is_constant: bool

    @property
    def share(self) -> float:
        """Share of them on which a request was in flight."""
        return self.waiting / self.established if self.established else 0.0

    @property
    def all_waited(self) -> bool:
        """Whether requests were in flight on them nearly all the time."""
        return self.share >= WAITING


def connections(stage: Stage, of: RoleName = Role.APP) -> list[Connections]:
    """Return the connections of a part to every service, the one that most requests waited for first."""
    peers: dict[str, list[PeerUsage]] = {}
    for peer in stage.peers:
        is_seen = peer.established[2] and peer.samples >= _LEAST_SAMPLES
        if is_seen and peer.waiting is not None and _is_of(stage, peer, of):
            peers.setdefault(_service_of(peer), []).append(peer)
    known = [_together(*it) for it in peers.items()]
    if of == Role.APP:
        known += filter(None, (_as_told(stage, name) for name in observed(stage) if name not in peers))
    return sorted(known, key=lambda it: -it.waiting)


def _as_told(stage: Stage, service: str) -> Connections | None:
    """Return a service's connections as it counts them, with those of other clients than the app."""
    told = in_use(stage, service)
    if told is None:
        return None
    used, running = told
    is_constant = (used.peak or 0.0) - min(used.before, used.after) <= _STEADY
    return Connections(service, used.after, min(running.after, used.after), is_constant)


def _is_of(stage: Stage, peer: PeerUsage, of: RoleName) -> bool:
    """Return whether a connection is one from a part to another one that is a service."""
    subject = stage.cpu_cores_by_subject.get(peer.subject)
    to_service = not peer.role or (is_service(peer.role) and peer.role != of)
    return subject is not None and subject.role == of and to_service


def _service_of(peer: PeerUsage) -> str:
    return peer.role or peer.program or (f"{peer.address}:{peer.port}" if peer.port else peer.address)


def _together(service: str, peers: Iterable[PeerUsage]) -> Connections:
    known = list(peers)
    return Connections(
        service,
        sum(peer.established[1] for peer in known),
        sum(peer.waiting or 0.0 for peer in known),
        all(_is_steady(peer) for peer in known),
    )


def _is_steady(peer: PeerUsage) -> bool:
    """Return whether connections were kept; new ones for each request may be as many at each instant."""
    least, average, most = peer.established
    return most - least <= _STEADY and peer.opened <= average


def who(part: RoleName) -> str:
    """Return how a sentence names what has connections: ``the app``, or a service by its name."""
    return "the app" if part == Role.APP else part


def waits_for(stage: Stage, service: str) -> float | None:
    """Return how many requests were in flight to a service on average; None if that is not known."""
    return next((it.waiting for it in connections(stage) if it.service == service), None)


def waiting_evidence(stage: Stage, service: str, of: RoleName = Role.APP) -> tuple[Evidence, ...]:
    """Return how many requests of a part were in flight to a service, and on how many connections."""
    known = next((it for it in connections(stage, of) if it.service == service), None)
    if known is None:
        return ()
    return (
        Evidence(f"connections from {who(of)} to {service}", known.established, "connections"),
        Evidence(_TITLE.format(service), known.waiting, "requests"),
    )
