"""Memory of one subject's control group, version 1 or 2, against its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runner.core.observed_facts import Subject
from runner.observe.cgroups import control_group_of
from runner.observe.counters.level import Level, Levels, gauge

_NO_LIMIT: Final = 1 << 60
"""Version 1 writes a number near 2^63 for no limit."""


def memory_folder(subject: Subject) -> Path | None:
    """Return the folder of a subject's memory control group, None if there is none."""
    group = control_group_of(subject.pid) if subject.pid is not None else None
    return group.memory if group else None


def read_group_memory(folder: Path | None) -> Levels:
    """Return the memory of a control group against its limit, and how often it hit the limit."""
    if folder is None:
        raise FileNotFoundError(2, "no memory control group")
    return _version_2(folder) if (folder / "memory.current").exists() else _version_1(folder)


def _version_1(folder: Path) -> Levels:
    limit = int((folder / "memory.limit_in_bytes").read_text())
    control = dict(line.split() for line in (folder / "memory.oom_control").read_text().splitlines())
    used = int((folder / "memory.usage_in_bytes").read_text())
    return {
        "memory.usage_bytes": gauge(used, "bytes", limit=limit if limit < _NO_LIMIT else None),
        "memory.limit_hits": Level(int((folder / "memory.failcnt").read_text())),
        "memory.oom_kills": Level(int(control["oom_kill"])) if "oom_kill" in control else None,
    }


def _version_2(folder: Path) -> Levels:
    limit = (folder / "memory.max").read_text().strip()
    events = dict(line.split() for line in (folder / "memory.events").read_text().splitlines())
    used = int((folder / "memory.current").read_text())
    return {
        "memory.usage_bytes": gauge(used, "bytes", limit=None if limit == "max" else int(limit)),
        "memory.limit_hits": Level(int(events["max"])),
        "memory.oom_kills": Level(int(events["oom_kill"])),
    }
