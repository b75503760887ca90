"""The firewall's connection table in one network namespace, against its limit."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.proc_files import read_file
from runner.observe.roots import proc

_LOSSES: Final = ("drop", "early_drop", "insert_failed")
_MAX: Final = "sys/net/netfilter/nf_conntrack_max"


def read_conntrack(pid: int) -> Levels:
    """Return the connection table in the namespace of a process."""
    text = read_file(f"{proc()}/{pid}/net/stat/nf_conntrack").decode()
    limit = None
    with suppress(FileNotFoundError):
        limit = int(read_file(f"{proc()}/{_MAX}"))
    return parse_conntrack(text, limit)


def parse_conntrack(text: str, limit: int | None) -> Levels:
    """Parse hexadecimal columns, a line per CPU; the first column is the table's size, equal in all lines."""
    head, *lines = text.splitlines()
    rows = [dict(zip(head.split(), (int(word, 16) for word in line.split()), strict=False)) for line in lines]
    losses = {
        f"conntrack.{name}": Level(sum(row[name] for row in rows)) if name in rows[0] else None
        for name in _LOSSES
    }
    return losses | {"conntrack.count": gauge(rows[0]["entries"], "connections", limit=limit)}
