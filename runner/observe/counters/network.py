"""TCP counters of one network namespace.

`/proc/<pid>/net` shows the namespace of that process, whatever the reader's own is. Names and meanings:
Linux, Documentation/networking/snmp_counter.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from runner.observe.counters.conntrack import read_conntrack
from runner.observe.counters.level import FunctionSource, Level, Levels, Source, gauge
from runner.observe.roots import proc

_TCP: Final = {
    ("TcpExt", "ListenOverflows"): "tcp.listen_overflows",
    ("TcpExt", "ListenDrops"): "tcp.listen_drops",
    ("TcpExt", "TCPTimeouts"): "tcp.timeouts",
    ("TcpExt", "TCPSynRetrans"): "tcp.syn_retransmits",
    ("TcpExt", "TCPReqQFullDrop"): "tcp.req_q_full_drops",
    ("Tcp", "RetransSegs"): "tcp.retransmits",
    ("Tcp", "OutRsts"): "tcp.resets_sent",
    ("Tcp", "EstabResets"): "tcp.established_resets",
    ("Tcp", "AttemptFails"): "tcp.attempt_fails",
}


def network_counters(scope: str, pid: int) -> Iterator[Source]:
    """Yield the sources of the network namespace of a process, which need not be entered."""
    yield FunctionSource(scope, "tcp", partial(read_tcp, pid))
    yield FunctionSource(scope, "conntrack", partial(read_conntrack, pid))


def read_tcp(pid: int) -> Levels:
    """Return the counters of TCP in the network namespace of a process."""
    net = Path(f"{proc()}/{pid}/net")
    counts = _pairs((net / "netstat").read_text()) | _pairs((net / "snmp").read_text())
    levels = {name: Level(counts[key]) if key in counts else None for key, name in _TCP.items()}
    in_use, waiting = _sockets((net / "sockstat").read_text())
    return levels | {"tcp.in_use": gauge(in_use, "sockets"), "tcp.time_wait": gauge(waiting, "sockets")}


def _pairs(text: str) -> dict[tuple[str, str], int]:
    """Parse lines of names followed by lines of numbers, as in /proc/net/netstat and snmp."""
    counts: dict[tuple[str, str], int] = {}
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        group, *keys = names.split()
        _, *values = numbers.split()
        for key, value in zip(keys, values, strict=True):
            counts[group.rstrip(":"), key] = int(value)
    return counts


def _sockets(text: str) -> tuple[int, int]:
    """Return TCP sockets in use and in TIME_WAIT, from /proc/net/sockstat."""
    words = next(line.split() for line in text.splitlines() if line.startswith("TCP:"))
    fields = dict(zip(words[1::2], map(int, words[2::2]), strict=True))
    return fields["inuse"], fields["tw"]
