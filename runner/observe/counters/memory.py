"""Memory of one subject's control group, version 1 or 2, against its limit.

A group that reads or writes files fills its memory up to the limit with their pages, which the kernel drops
when anything else needs the memory. So what counts is the working set, as the kubelet defines it: the usage
without pages of files that were not used again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runner.core.observed_facts import Subject
from runner.core.units import Bytes
from runner.observe.cgroups import control_group_of, file_exists
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.proc_files import number_of, read_file

_NO_LIMIT: Final = 1 << 60
"""Version 1 writes a number near 2^63 for no limit."""


def memory_folder(subject: Subject) -> Path | None:
    """Return the folder of a subject's memory control group, None if there is none."""
    group = control_group_of(subject.pid) if subject.pid is not None else None
    return group.memory if group else None


def read_group_memory(folder: Path | None) -> Levels:
    """Return the memory and the working set of a group against its limit, and how often it hit the limit."""
    if folder is None:
        raise FileNotFoundError(2, "no memory control group")
    path = str(folder)
    return _version_2(path) if file_exists(f"{path}/memory.current") else _version_1(path)


def _version_1(folder: str) -> Levels:
    limit = int(read_file(f"{folder}/memory.limit_in_bytes"))
    kills = number_of(b"oom_kill", read_file(f"{folder}/memory.oom_control"))
    used = int(read_file(f"{folder}/memory.usage_in_bytes"))
    return {
        **_sizes(used, limit if limit < _NO_LIMIT else None, _inactive(folder, b"total_inactive_file")),
        "memory.limit_hits": Level(_version_1_hits(folder)),
        "memory.oom_kills": None if kills is None else Level(kills),
    }


def _version_1_hits(folder: str) -> int:
    """Return how often a limit was hit: that of memory, or that of memory with swap, which may be as low."""
    files = [f"{folder}/{name}" for name in ("memory.failcnt", "memory.memsw.failcnt")]
    return sum(int(read_file(file)) for file in files if file_exists(file))


def _version_2(folder: str) -> Levels:
    limit = read_file(f"{folder}/memory.max").strip()
    events = dict(line.split() for line in read_file(f"{folder}/memory.events").splitlines())
    used = int(read_file(f"{folder}/memory.current"))
    return {
        **_sizes(used, None if limit == b"max" else int(limit), _inactive(folder, b"inactive_file")),
        "memory.limit_hits": Level(int(events[b"max"])),
        "memory.oom_kills": Level(int(events[b"oom_kill"])),
    }


def _inactive(folder: str, name: bytes) -> Bytes | None:
    """Return the size of the pages of files that were not used again; None if the kernel does not tell."""
    return number_of(name, read_file(f"{folder}/memory.stat"))


def _sizes(used: Bytes, limit: Bytes | None, inactive: Bytes | None) -> Levels:
    """Return both sizes; they are read one after the other, so that their difference may be negative."""
    working = None if inactive is None else gauge(max(0, used - inactive), "bytes", limit=limit)
    return {"memory.usage_bytes": gauge(used, "bytes", limit=limit), "memory.working_set_bytes": working}
