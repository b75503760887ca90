"""A control group of a run's own: no process leaves it by forking, changing its session or its memory.

It only tells members apart: it is made where no controller divides CPU or memory between groups, so that
it does not change what is measured. It needs root or a delegated group, in version 2 or in the hierarchies
``name=systemd``, ``pids`` or ``freezer`` of version 1. Standard library only, for the watchdog process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_HIERARCHIES: Final = ("", "name=systemd", "pids", "freezer")
"""In the order of preference; the empty name is version 2."""


def create_group(run_id: str) -> Path | None:
    """Return the folder of the run's group, created if necessary; None where that is not possible.

    The group is below the group of this process, so calls by the same process return the same folder.
    """
    for parent in _own_groups():
        group = parent / _name(run_id)
        with suppress(OSError):
            group.mkdir(exist_ok=True)
            if os.access(group / "cgroup.procs", os.W_OK):
                return group
            group.rmdir()
    return None


def is_group_of(group: Path, run_id: str) -> bool:
    """Return whether a recorded folder is a control group that `create_group` made for this run."""
    mounts = _mounts().values()
    below = any(point in group.parents for _, point in mounts)
    return below and ".." not in group.parts and group.name == _name(run_id)


def members(group: Path | None) -> set[int]:
    """Return the pids in a group and in all groups below it; empty without a group."""
    pids: set[int] = set()
    for folder, _, _ in os.walk(group) if group else ():
        with suppress(OSError):
            pids |= {int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split()}
    return pids - {0}  # 0 stands for a process of another pid namespace


def remove_group(group: Path | None) -> None:
    """Remove a group and all groups below it; those that still have members stay."""
    for folder, _, _ in os.walk(group, topdown=False) if group else ():
        with suppress(OSError):
            Path(folder).rmdir()


def _name(run_id: str) -> str:
    return f"loadproof-{run_id}"


def _own_groups() -> Iterator[Path]:
    """Yield the folder of this process's group in each hierarchy that can be used."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        mounts = _mounts()
    except OSError:
        return
    paths = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
    for hierarchy in _HIERARCHIES:
        if hierarchy in paths and hierarchy in mounts:
            root, point = mounts[hierarchy]
            inner = paths[hierarchy] if root == "/" else paths[hierarchy].removeprefix(root)
            yield point / inner.lstrip("/")


def _mounts() -> dict[str, tuple[str, Path]]:
    """Return each hierarchy's root and mount point (proc_pid_mountinfo(5))."""
    mounts: dict[str, tuple[str, Path]] = {}
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        kind, _, options = after.split(" ", 2)
        place = (fields[3], Path(fields[4]))
        if kind == "cgroup2":
            mounts[""] = place
        elif kind == "cgroup":
            mounts |= {name: place for name in options.split(",") if name in _HIERARCHIES}
    return mounts
