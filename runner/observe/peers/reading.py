"""One reading of all connections of the system under test, by the subjects that opened them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from runner.core.codes import Role, RoleName, is_service
from runner.core.observed_facts import Subject
from runner.core.units import Seconds
from runner.observe.peers.identity import Identities
from runner.observe.peers.namespaces import Namespace, namespaces
from runner.observe.peers.owners import Owner, Owners
from runner.observe.peers.series import Key, PeerSeries
from runner.observe.peers.socket import Connection, Place
from runner.observe.peers.unix import UnixSocket, opened
from runner.observe.peers.waiting import Inode

_UNIX_EVERY_S: Final[Seconds] = 1.0
_DNS: Final = Place("127.0.0.11", 53)
"""Docker's name server in every container of a network."""


@dataclass(slots=True)
class Connections:
    """Reads the connections that parts of a system under test opened.

    Args:
        subjects: All watched subjects.
        watched: Port of a service that ran already to its name.

    Attributes:
        series: All readings.
        identifying_s: CPU time that finding out about new peers took in the latest reading.
    """

    subjects: Sequence[Subject]
    watched: Mapping[int, RoleName] = field(default_factory=dict)
    series: PeerSeries = field(default_factory=PeerSeries)
    identifying_s: Seconds = 0.0
    _namespaces: list[Namespace] = field(default_factory=list)
    _listening: list[frozenset[int]] = field(default_factory=list)
    _owners: Owners = field(default_factory=lambda: Owners(()))
    _identities: Identities = field(default_factory=lambda: Identities((), Owners(())))
    _known: dict[Inode, str] = field(default_factory=dict)
    _unix: Sequence[UnixSocket] = ()
    _unix_s: Seconds = -math.inf
    _uses_unix: bool = False

    def open(self, closing: ExitStack) -> None:
        """Find the namespaces of the subjects, and the ports on which they listen."""
        parts = [subject for subject in self.subjects if _is_part(subject)]
        self._owners = Owners(parts)
        self._namespaces = namespaces(parts)
        for namespace in self._namespaces:
            closing.callback(namespace.close)
        self._identities = Identities(self._namespaces, self._owners, self.watched)
        held = self._owners.of_subjects()
        self._listening = [frozenset(self._ports(namespace, held)) for namespace in self._namespaces]

    def read(self, t_s: Seconds) -> None:
        """Add all connections now to `series`; `t_s` is the time in the measured window."""
        self.identifying_s = 0.0
        unix = self._unix_sockets(t_s)
        found: list[tuple[Connection, Namespace | None]] = [(one, None) for one in opened(unix)]
        found += [pair for namespace in self._with_parts() for pair in self._tcp(namespace)]
        self._learn(one.inode for one, _ in found)
        by_key: dict[Key, list[Connection]] = {}
        for one, namespace in found:
            if subject := self._known[one.inode]:
                key = Key(subject, one.to)
                self._uses_unix = self._uses_unix or namespace is None
                if not self.series.is_known(key):
                    self._identify(key, namespace, unix)
                by_key.setdefault(key, []).append(one)
        self.series.add(t_s, by_key)

    def _unix_sockets(self, t_s: Seconds) -> Sequence[UnixSocket]:
        """Return all Unix sockets; until the system is seen to use one, those of up to a second ago."""
        if self._uses_unix or t_s >= self._unix_s + _UNIX_EVERY_S:
            self._unix_s = t_s
            self._unix = [one for namespace in self._with_parts() for one in namespace.unix_sockets()]
        return self._unix

    def _with_parts(self) -> Iterator[Namespace]:
        """Yield the namespaces with a part in them; beside containers, the runner's own has none."""
        return (namespace for namespace in self._namespaces if namespace.subjects)

    @staticmethod
    def _ports(namespace: Namespace, held: Mapping[Inode, Owner]) -> Iterator[int]:
        """Yield the ports on which the system listens; in the runner's namespace others listen as well."""
        for listener in namespace.listeners():
            if not namespace.is_own or listener.inode in held:
                yield listener.place.port

    def _tcp(self, namespace: Namespace) -> Iterator[tuple[Connection, Namespace]]:
        listening = self._listening[self._namespaces.index(namespace)]
        alone = namespace.subjects[0].name if self._is_alone(namespace) else None
        for one in namespace.connections(listening):
            if one.to != _DNS:
                if alone is not None:
                    self._known[one.inode] = alone
                yield one, namespace

    def _is_alone(self, namespace: Namespace) -> bool:
        """Return whether all sockets of a namespace are of one subject, as in a container."""
        return not namespace.is_own and len(namespace.subjects) == 1

    def _learn(self, inodes: Iterable[Inode]) -> None:
        """Find the subjects that hold sockets; a socket that none holds is of another program."""
        now = set(inodes)
        if not now <= self._known.keys():
            held = self._owners.of_subjects()
            names = {inode: owner.subject.name for inode, owner in held.items() if owner.subject}
            self._known |= {inode: names.get(inode, "") for inode in now - self._known.keys()}
        self._known = {inode: self._known[inode] for inode in now}

    def _identify(self, key: Key, namespace: Namespace | None, unix: Sequence[UnixSocket]) -> None:
        begin_s = time.thread_time()
        if namespace is None:
            identity = self._identities.of_unix(key.place, unix)
        else:
            identity = self._identities.of_tcp(key.place, namespace)
        self.series.identify(key, identity)
        self.identifying_s += time.thread_time() - begin_s


def _is_part(subject: Subject) -> bool:
    """Return whether a subject may open connections to services: the app, the proxy, and services."""
    return subject.pid is not None and (subject.role in {Role.APP, Role.PROXY} or is_service(subject.role))
