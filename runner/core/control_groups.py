"""Where the kernel shows control groups (cgroups(7)). Standard library only, for the watchdog process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Hierarchy(NamedTuple):
    """A mounted tree of control groups.

    Attributes:
        root: The group at the mount point; within a container the mount shows only a part of the tree.
        point: Where it is mounted.
    """

    root: str
    point: Path

    def folder(self, group: str) -> Path:
        """Return the folder of a group that is named as in ``/proc/PID/cgroup``."""
        inner = group.removeprefix(self.root) if self.root != "/" else group
        return self.point / inner.lstrip("/")


def hierarchies(mountinfo: str) -> dict[str, Hierarchy]:
    """Return the hierarchy of each controller, that of version 2 as ``""`` (proc_pid_mountinfo(5))."""
    mounted: dict[str, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        kind, _, options = after.split(" ", 2)
        place = Hierarchy(fields[3], Path(fields[4]))
        if kind == "cgroup2":
            mounted[""] = place
        elif kind == "cgroup":
            mounted |= dict.fromkeys(options.split(","), place)
    return mounted
