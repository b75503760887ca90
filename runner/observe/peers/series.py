"""Connections to each peer over time, from one reading after the other."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from runner.core.observed_facts import Peer, PeerSample
from runner.core.units import Seconds
from runner.observe.peers.identity import Identity
from runner.observe.peers.socket import Connection, Place
from runner.observe.peers.waiting import Inode, Waiting, tcp_state

MAX_PEERS: Final = 64
_MAX_WATCHED: Final = 512
"""Peers of which samples are kept; the ones with most connections are reported."""
_UNKNOWN: Final = -1


class Key(NamedTuple):
    """The name of a subject, and what it is connected to."""

    subject: str
    place: Place


@dataclass(slots=True)
class _Series:
    """One peer; its readings are kept as plain numbers, because there may be many peers and long windows."""

    identity: Identity
    established: array[int] = field(default_factory=partial(array, "Q"))
    waiting: array[int] = field(default_factory=partial(array, "q"))
    queued_bytes: array[int] = field(default_factory=partial(array, "Q"))
    opened: int = 0
    _inodes: frozenset[Inode] = frozenset()
    _waiting: Waiting = field(default_factory=Waiting)

    def reading(self, connections: Sequence[Connection], *, first: bool) -> tuple[int, int, int]:
        """Return how many connections there are, on how many a response is due, and the bytes queued."""
        inodes = frozenset(one.inode for one in connections)
        self.opened += 0 if first else len(inodes - self._inodes)
        self._inodes = inodes
        self._waiting.begin()
        states = [(one.inode, state) for one in connections if (state := tcp_state(one.info))]
        waiting = sum(self._waiting.is_due(inode, state) for inode, state in states)
        waiting = waiting if len(states) == len(connections) else _UNKNOWN
        return len(connections), waiting, sum(one.queued_bytes for one in connections)

    def add(self, established: int, waiting: int, queued_bytes: int) -> None:
        """Keep a `reading`."""
        self.established.append(established)
        self.waiting.append(waiting)
        self.queued_bytes.append(queued_bytes)

    def samples(self, times: Sequence[Seconds]) -> Iterator[PeerSample]:
        """Yield one sample for each time; before it was first seen the peer had no connection."""
        before = len(times) - len(self.established)
        waiting = None if _UNKNOWN in self.waiting else 0
        yield from (PeerSample(t_s, 0, waiting) for t_s in times[:before])
        columns = zip(times[before:], self.established, self.waiting, self.queued_bytes, strict=True)
        for t_s, established, due, queued_bytes in columns:
            yield PeerSample(t_s, established, None if due == _UNKNOWN else due, queued_bytes)


@dataclass(slots=True)
class PeerSeries:
    """The connections to every peer in one trial."""

    _times: array[float] = field(default_factory=lambda: array("d"))
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
        readings = [
            series.reading(connections.get(key, ()), first=first) for key, series in self._series.items()
        ]
        self._times.append(t_s)
        for series, reading in zip(self._series.values(), readings, strict=True):
            series.add(*reading)

    def peers(self) -> tuple[Peer, ...]:
        """Return what there were connections to, the peer with most of them first."""
        made = [self._peer(key, series) for key, series in self._series.items()]
        made.sort(key=lambda peer: -sum(sample.established for sample in peer.samples))
        return tuple(made[:MAX_PEERS])

    def _peer(self, key: Key, series: _Series) -> Peer:
        return Peer(
            key.subject,
            series.identity.role,
            key.place.address,
            key.place.port,
            series.identity.program,
            series.identity.pid,
            tuple(series.samples(self._times)),
            series.opened,
        )
