"""Counters of one network namespace: TCP, tracked connections, bytes.

`/proc/<pid>/net` shows the namespace of that process, whatever the reader's own is. Names and meanings:
Linux, Documentation/networking/snmp_counter.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final

from runner.observe.counters.conntrack import read_conntrack
from runner.observe.counters.interfaces import read_cards, read_interfaces
from runner.observe.counters.level import FunctionSource, Level, Levels, Source, gauge
from runner.observe.proc_files import read_file
from runner.observe.roots import proc

HOST_NETWORK: Final = "net:host"
"""Scope of the machine's own network namespace."""
_GROUPS: Final = (b"Tcp", b"TcpExt")
_TCP: Final = {
    (b"TcpExt", b"ListenOverflows"): "tcp.listen_overflows",
    (b"TcpExt", b"ListenDrops"): "tcp.listen_drops",
    (b"TcpExt", b"TCPTimeouts"): "tcp.timeouts",
    (b"TcpExt", b"TCPSynRetrans"): "tcp.syn_retransmits",
    (b"TcpExt", b"TCPReqQFullDrop"): "tcp.req_q_full_drops",
    (b"Tcp", b"RetransSegs"): "tcp.retransmits",
    (b"Tcp", b"OutRsts"): "tcp.resets_sent",
    (b"Tcp", b"EstabResets"): "tcp.established_resets",
    (b"Tcp", b"AttemptFails"): "tcp.attempt_fails",
    (b"Tcp", b"PassiveOpens"): "tcp.passive_opens",
}


def network_counters(scope: str, pid: int) -> Iterator[Source]:
    """Yield the sources of the network namespace of a process, which need not be entered."""
    yield FunctionSource(scope, "tcp", partial(read_tcp, pid))
    yield FunctionSource(scope, "conntrack", partial(read_conntrack, pid))
    read = read_cards if scope == HOST_NETWORK else read_interfaces
    yield FunctionSource(scope, "network bytes", partial(read, pid), every_second=False)


def read_tcp(pid: int) -> Levels:
    """Return the counters of TCP in the network namespace of a process."""
    net = f"{proc()}/{pid}/net"
    groups = _groups(read_file(f"{net}/netstat")) | _groups(read_file(f"{net}/snmp"))
    levels = {name: _level(groups.get(group, {}).get(key)) for (group, key), name in _TCP.items()}
    in_use, waiting = _sockets(read_file(f"{net}/sockstat"))
    return levels | {"tcp.in_use": gauge(in_use, "sockets"), "tcp.time_wait": gauge(waiting, "sockets")}


def _level(count: bytes | None) -> Level | None:
    return None if count is None else Level(int(count))


def _groups(text: bytes) -> dict[bytes, dict[bytes, bytes]]:
    """Return TCP's groups of lines with names and lines with numbers, as in /proc/net/netstat and snmp."""
    groups: dict[bytes, dict[bytes, bytes]] = {}
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        group = names.partition(b":")[0]
        if group in _GROUPS:
            groups[group] = dict(zip(_columns(names), numbers.split()[1:], strict=True))
    return groups


@lru_cache(maxsize=8)
def _columns(names: bytes) -> list[bytes]:
    """Return the names of a group's counters: a kernel's are always the same."""
    return names.split()[1:]


def _sockets(text: bytes) -> tuple[int, int]:
    """Return TCP sockets in use and in TIME_WAIT, from /proc/net/sockstat."""
    words = next(line.split() for line in text.splitlines() if line.startswith(b"TCP:"))
    fields = dict(zip(words[1::2], map(int, words[2::2]), strict=True))
    return fields[b"inuse"], fields[b"tw"]
