"""What a swarm on this machine leaves traces of: processes and control groups."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def has_argument(word: str) -> bool:
    """Return whether a process has this word in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if word.encode() in path.read_bytes().split(b"\0"):
                return True
    return False


def remove_groups(name: str) -> bool:
    """Remove the control groups of a swarm; return whether none is left.

    They are at the top of each hierarchy, where those of other swarms may be coming and going.
    """
    tops = [Path("/sys/fs/cgroup") / name, *(Path(path) / name for path in _hierarchies())]
    for top in tops:
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)  # noqa: PTH106  (not a folder of files)
    return not any(top.exists() for top in tops)


def _hierarchies() -> list[str]:
    """Return where control groups are mounted."""
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [fields[1] for fields in lines if fields[2] in {"cgroup", "cgroup2"}]


def boot_id() -> str:
    """Return what tells this start of the machine from others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> int | None:
    """Return a process's start in clock ticks after boot, None when it has ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] != "Z":
            return int(fields[19])
    return None
