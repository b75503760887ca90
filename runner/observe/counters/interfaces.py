"""Bytes that network interfaces received and sent, from `/proc/<pid>/net/dev`.

A packet between a container and the outside passes several interfaces of the host: a network card, a
bridge and a port of that bridge. So the bytes of the host are those of its cards. Of another namespace, such
as a container's, all interfaces count: it has no bridges of its own. Loopback is a counter of its own,
because every byte that it carries is sent and received in the same namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from runner.core.observed_facts import LOOPBACK_BYTES, NETWORK_RECEIVED, NETWORK_SENT
from runner.observe.counters.level import Level, Levels
from runner.observe.proc_files import read_file
from runner.observe.roots import proc, sys

_LOOPBACK: Final = "lo"
_RECEIVED, _SENT = 0, 8
"""Columns after the interface's name."""


class _Bytes(NamedTuple):
    received: int
    sent: int


def read_interfaces(pid: int) -> Levels:
    """Return the bytes of all interfaces in the network namespace of a process, and those of loopback."""
    interfaces = _interfaces(pid)
    return _levels(interfaces, interfaces.keys())


def read_cards(pid: int) -> Levels:
    """Return the bytes of the machine's network cards, and those of loopback.

    A machine without cards is itself a container: its interfaces that belong to no bridge count.

    Args:
        pid: A process in the machine's network namespace.
    """
    interfaces = _interfaces(pid)
    others = [name for name in interfaces if not _is_bridged(name)]
    return _levels(interfaces, [name for name in interfaces if _has(name, "device")] or others)


def _interfaces(pid: int) -> dict[str, _Bytes]:
    lines = read_file(f"{proc()}/{pid}/net/dev").decode(errors="replace").splitlines()[2:]
    named = (line.rpartition(":") for line in lines)
    counts = {name.strip(): numbers.split() for name, _, numbers in named}
    return {name: _Bytes(int(words[_RECEIVED]), int(words[_SENT])) for name, words in counts.items()}


def _levels(interfaces: Mapping[str, _Bytes], names: Iterable[str]) -> Levels:
    counted = [interfaces[name] for name in names if name != _LOOPBACK]
    loopback = interfaces.get(_LOOPBACK)
    return {
        NETWORK_RECEIVED: Level(sum(one.received for one in counted), "bytes"),
        NETWORK_SENT: Level(sum(one.sent for one in counted), "bytes"),
        LOOPBACK_BYTES: None if loopback is None else Level(loopback.sent, "bytes"),
    }


def _is_bridged(name: str) -> bool:
    return _has(name, "bridge") or _has(name, "master")


def _has(name: str, what: str) -> bool:
    return os.path.exists(f"{sys()}/class/net/{name}/{what}")  # noqa: PTH110
