"""Connections to each peer over time, from one reading after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from runner.core.observed_facts import Peer, PeerSample
from runner.core.units import Seconds
from runner.observe.peers.identity import Identity
from runner.observe.peers.socket import Connection, Place
from runner.observe.peers.waiting import Inode, Waiting, tcp_state

MAX_PEERS: Final = 64
_MAX_WATCHED: Final = 512
"""Peers of which samples are kept; the ones with most connections are reported."""


class Key(NamedTuple):
    """The name of a subject, and what it is connected to."""

    subject: str
    place: Place


@dataclass(slots=True)
class _Series:
    identity: Identity
    samples: dict[Seconds, PeerSample] = field(default_factory=dict)
    opened: int = 0
    _inodes: frozenset[Inode] = frozenset()
    _waiting: Waiting = field(default_factory=Waiting)

    def add(self, t_s: Seconds, connections: Sequence[Connection], *, first: bool) -> None:
        inodes = frozenset(one.inode for one in connections)
        self.opened += 0 if first else len(inodes - self._inodes)
        self._inodes = inodes
        self._waiting.begin()
        states = [(one.inode, state) for one in connections if (state := tcp_state(one.info))]
        waiting = sum(self._waiting.is_due(inode, state) for inode, state in states)
        self.samples[t_s] = PeerSample(
            t_s,
            len(connections),
            waiting if len(states) == len(connections) else None,
            sum(one.queued_bytes for one in connections),
        )


@dataclass(slots=True)
class PeerSeries:
    """The connections to every peer in one trial."""

    _times: list[Seconds] = field(default_factory=list)
    _series: dict[Key, _Series] = field(default_factory=dict)

    def is_known(self, key: Key) -> bool:
        """Return whether it is known what is at the other end, or that no more peers are kept."""
        return key in self._series or len(self._series) >= _MAX_WATCHED

    def identify(self, key: Key, identity: Identity) -> None:
        """Begin to keep the connections to a new peer."""
        self._series[key] = _Series(identity)

    def add(self, t_s: Seconds, connections: Mapping[Key, Sequence[Connection]]) -> None:
        """Add a reading; peers that are not in it have no connection now."""
        first = not self._times
        self._times.append(t_s)
        for key, series in self._series.items():
            series.add(t_s, connections.get(key, ()), first=first)

    def peers(self) -> tuple[Peer, ...]:
        """Return what there were connections to, the peer with most of them first."""
        made = [self._peer(key, series) for key, series in self._series.items()]
        made.sort(key=lambda peer: -sum(sample.established for sample in peer.samples))
        return tuple(made[:MAX_PEERS])

    def _peer(self, key: Key, series: _Series) -> Peer:
        """Return a peer; before it was first seen it had no connection."""
        waiting = None if any(sample.waiting is None for sample in series.samples.values()) else 0
        samples = (series.samples.get(t_s) or PeerSample(t_s, 0, waiting) for t_s in self._times)
        return Peer(
            key.subject,
            series.identity.role,
            key.place.address,
            key.place.port,
            series.identity.program,
            series.identity.pid,
            tuple(samples),
            series.opened,
        )
