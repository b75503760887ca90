"""Control groups of a run's own: no process leaves one by forking, changing its session or its memory.

A run has one group, and each of its commands a group in it, which also counts the CPU of child processes
that their parent never waits for. Groups are made where no controller divides CPU or memory between them, so
that they do not change what is measured. They need root or a delegated group, in version 2 or in a hierarchy
of version 1. Version 1 counts CPU in ``cpuacct`` only, which is not used where it also divides CPU. Standard
library only, for the watchdog process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.core.control_groups import Hierarchy, hierarchies

_HIERARCHIES: Final = ("", "cpuacct", "name=systemd", "pids", "freezer")
"""In the order of preference; the empty name is version 2."""

_DIVIDING: Final = frozenset({"cpu", "cpuset", "io", "memory"})
_EMPTIES_WITHIN_S: Final = 1.0
_LOOK_INTERVAL_S: Final = 0.02


def create_group(run_id: str, command: str = "") -> Path | None:
    """Return the folder of a run's group, created if necessary; None where that is not possible.

    The group is below the group of this process, so calls by the same process return the same folder.

    Args:
        run_id: The run.
        command: The name of one of its commands, for that command's group within the run's.
    """
    for parent in _own_groups():
        whole = parent / _name(run_id)
        group = whole / command
        with suppress(OSError):
            whole.mkdir(exist_ok=True)
            group.mkdir(exist_ok=True)
            if os.access(group / "cgroup.procs", os.W_OK):
                return group
            remove_group(whole)
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
    """Remove a group and all groups below it; those that still have members stay.

    The kernel keeps a group for an instant after its last member has ended: this waits up to a second.
    """
    deadline = time.monotonic() + _EMPTIES_WITHIN_S
    while group and not _removed(group) and time.monotonic() < deadline:
        time.sleep(_LOOK_INTERVAL_S)


def _removed(group: Path) -> bool:
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()
    return not group.exists()


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
    groups = (hierarchy.folder(paths[name]) for name, hierarchy in mounts.items() if name in paths)
    yield from (group for group in groups if not _divides(group))


def _divides(group: Path) -> bool:
    """Return whether the groups below one of version 2 share resources out among them."""
    try:
        return bool(_DIVIDING & set((group / "cgroup.subtree_control").read_text().split()))
    except OSError:
        return False


def _mounts() -> dict[str, Hierarchy]:
    """Return each hierarchy that divides nothing, the preferred one first."""
    mounted = hierarchies(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    dividing = {mounted[name] for name in _DIVIDING if name in mounted}
    usable = {name: mounted[name] for name in _HIERARCHIES if name in mounted}
    return {name: hierarchy for name, hierarchy in usable.items() if hierarchy not in dividing}
