"""The network namespaces of a system under test: their sockets, and the subjects in them."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from runner.core.observed_facts import Subject
from runner.observe.counters.namespace import namespace_of
from runner.observe.counters.sock_diag import open_in
from runner.observe.peers import proc_net, tcp
from runner.observe.peers.addresses import addresses_of
from runner.observe.peers.socket import Connection
from runner.observe.peers.tcp import Listener
from runner.observe.peers.unix import UnixSocket, unix_sockets


@dataclass(slots=True)
class Namespace:
    """One network namespace. What cannot be read of it is left out.

    Attributes:
        pid: A process in it.
        subjects: Those in it that are parts of the system under test.
        is_own: Whether it is the runner's, which other programs share.
        addresses: Its numeric addresses.
    """

    pid: int
    subjects: list[Subject] = field(default_factory=list)
    is_own: bool = False
    addresses: frozenset[str] = field(init=False)
    _tcp: socket.socket | None = field(init=False)
    _unix: socket.socket | None = field(init=False)

    def __post_init__(self) -> None:
        self.addresses = addresses_of(self.pid)
        self._tcp, self._unix = _diag(self.pid), _diag(self.pid)

    def close(self) -> None:
        """Close the sockets that list the others."""
        for diag in (self._tcp, self._unix):
            if diag is not None:
                diag.close()

    def listeners(self) -> list[Listener]:
        """Return its listening TCP sockets."""
        if self._tcp is not None:
            try:
                return list(tcp.listeners(self._tcp))
            except (OSError, ValueError):
                self._use_proc()
        try:
            return list(proc_net.listeners(self.pid))
        except (OSError, ValueError):
            return []

    def connections(self, listening: Collection[int]) -> list[Connection]:
        """Return its established TCP connections, except the accepted ends of those to some ports."""
        if self._tcp is not None:
            try:
                return list(tcp.connections(self._tcp, listening))
            except (OSError, ValueError):
                self._use_proc()
        try:
            return list(proc_net.connections(self.pid, listening))
        except (OSError, ValueError):
            return []

    def unix_sockets(self) -> list[UnixSocket]:
        """Return its Unix sockets."""
        if self._unix is not None:
            try:
                return list(unix_sockets(self._unix))
            except (OSError, ValueError):
                self._unix.close()
                self._unix = None
        return []

    def _use_proc(self) -> None:
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = None


def _diag(pid: int) -> socket.socket | None:
    try:
        return open_in(pid)
    except OSError:
        return None


def namespaces(subjects: Sequence[Subject]) -> list[Namespace]:
    """Return the namespaces of some subjects, the runner's own first and always."""
    own = namespace_of("self")
    members: dict[int | None, list[Subject]] = {own: []}
    for subject in subjects:
        if subject.pid is not None and (identity := namespace_of(subject.pid)) is not None:
            members.setdefault(identity, []).append(subject)
    return [
        Namespace(os.getpid() if identity == own else found[0].pid or 0, found, is_own=identity == own)
        for identity, found in members.items()
    ]
