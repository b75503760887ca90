"""One network namespace: what TCP dropped, repeated and keeps, and its connection tracking.

`/proc/<pid>/net` shows the namespace of that process, whatever the reader's own is. Names and meanings:
Linux, Documentation/networking/snmp_counter.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.namespace import inside

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
_CONNTRACK: Final = ("drop", "early_drop", "insert_failed")
_CONNTRACK_MAX: Final = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class Tcp:
    """Counters of TCP in the network namespace of a process."""

    scope: str
    pid: int
    family: str = "tcp"
    always: bool = True

    def read(self) -> Levels:
        """See `Source`."""
        net = Path(f"/proc/{self.pid}/net")
        counts = paired((net / "netstat").read_text()) | paired((net / "snmp").read_text())
        found = {name: Level(counts[key]) if key in counts else None for key, name in _TCP.items()}
        in_use, waiting = sockets((net / "sockstat").read_text())
        return found | {"tcp.in_use": gauge(in_use, "sockets"), "tcp.time_wait": gauge(waiting, "sockets")}


def paired(text: str) -> dict[tuple[str, str], int]:
    """Lines of names followed by lines of numbers, as /proc/net/netstat and snmp have them."""
    found: dict[tuple[str, str], int] = {}
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        group, *keys = names.split()
        _, *values = numbers.split()
        for key, value in zip(keys, values, strict=True):
            found[group.rstrip(":"), key] = int(value)
    return found


def sockets(text: str) -> tuple[int, int]:
    """TCP sockets in use and in TIME_WAIT, from /proc/net/sockstat."""
    words = next(line.split() for line in text.splitlines() if line.startswith("TCP:"))
    fields = dict(zip(words[1::2], map(int, words[2::2]), strict=True))
    return fields["inuse"], fields["tw"]


@dataclass(slots=True)
class Ports:
    """TCP sockets against the range of ephemeral ports: about how many ports are in use.

    On loopback both ends of a connection are sockets of the same namespace, so half of those in use.
    Counting them exactly would mean walking every socket in TIME_WAIT each second.
    """

    scope: str
    pid: int
    family: str = "ports"
    always: bool = True
    _range: int | None = None

    def read(self) -> Levels:
        """See `Source`."""
        if self._range is None:
            least, most = map(int, inside(self.pid, _PORT_RANGE.read_text).split())
            self._range = most - least + 1
        in_use, waiting = sockets(Path(f"/proc/{self.pid}/net/sockstat").read_text())
        return {"ports.in_use": gauge(in_use // 2 + waiting, "ports", limit=self._range)}


@dataclass(frozen=True, slots=True)
class Conntrack:
    """The firewall's table of connections in the namespace of a process."""

    scope: str
    pid: int
    family: str = "conntrack"
    always: bool = True

    def read(self) -> Levels:
        """See `Source`."""
        text = Path(f"/proc/{self.pid}/net/stat/nf_conntrack").read_text()
        limit = int(_CONNTRACK_MAX.read_text()) if _CONNTRACK_MAX.exists() else None
        return conntrack(text, limit)


def conntrack(text: str, limit: int | None) -> Levels:
    """Hexadecimal columns, a line a CPU; the first column is the table's size and the same in all."""
    head, *lines = text.splitlines()
    rows = [dict(zip(head.split(), (int(word, 16) for word in line.split()), strict=False)) for line in lines]
    found = {
        f"conntrack.{name}": Level(sum(row[name] for row in rows)) if name in rows[0] else None
        for name in _CONNTRACK
    }
    return found | {"conntrack.count": gauge(rows[0]["entries"], "connections", limit=limit)}
