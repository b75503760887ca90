"""The firewall's table of connections in one network namespace, against its bound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge

_LOSSES: Final = ("drop", "early_drop", "insert_failed")
_MAX: Final = Path("/proc/sys/net/netfilter/nf_conntrack_max")


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
        limit = int(_MAX.read_text()) if _MAX.exists() else None
        return conntrack(text, limit)


def conntrack(text: str, limit: int | None) -> Levels:
    """Hexadecimal columns, a line a CPU; the first column is the table's size and the same in all."""
    head, *lines = text.splitlines()
    rows = [dict(zip(head.split(), (int(word, 16) for word in line.split()), strict=False)) for line in lines]
    found = {
        f"conntrack.{name}": Level(sum(row[name] for row in rows)) if name in rows[0] else None
        for name in _LOSSES
    }
    return found | {"conntrack.count": gauge(rows[0]["entries"], "connections", limit=limit)}
