"""CPU and memory of a control group, version 1 or 2, found through one of its processes."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runner.core.control_groups import Hierarchy, hierarchies
from runner.core.observed_facts import Throttling
from runner.core.units import NS_PER_S, Bytes, Seconds
from runner.observe import roots
from runner.observe.group_search import folder_in
from runner.observe.proc_files import number_of, read_file

_US_PER_S = 1_000_000
file_exists = lru_cache(maxsize=1024)(os.path.exists)
"""Of a file that tells the version of control groups: a group does not change its version."""
_USED = ("cpuacct", "cpu", "memory", "blkio", "")
"""The hierarchies that a `ControlGroup` has folders of."""
_MOUNTS_CHANGE_S = 10
_IO_CONTROLLERS = ("blkio", "")
"""The hierarchies that can limit I/O: that of version 1, and version 2."""


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The folders of one group's counters.

    Attributes:
        cpu: Its folder in the hierarchy that counts CPU, None if there is none.
        memory: Likewise for memory.
        quota: Likewise for the limit on CPU, which version 1 keeps separately.
        io: Likewise for I/O on disks.
    """

    cpu: Path | None
    memory: Path | None
    quota: Path | None = None
    io: Path | None = None

    def cpu_seconds(self) -> Seconds | None:
        """Return the CPU time used by all processes that are or were in the group."""
        if self.cpu is None:
            return None
        try:
            if file_exists(f"{self.cpu}/cpuacct.usage"):
                return int(read_file(f"{self.cpu}/cpuacct.usage")) / NS_PER_S
            return _keyed(f"{self.cpu}/cpu.stat")["usage_usec"] / _US_PER_S
        except (OSError, ValueError, KeyError):
            return None

    def throttling(self) -> Throttling | None:
        """Return the effect of the CPU quota, None without a quota."""
        if self.quota is None:
            return None
        try:
            stat = _keyed(f"{self.quota}/cpu.stat")
            waited_s = stat["throttled_time"] / NS_PER_S if "throttled_time" in stat else 0.0
            waited_s = stat.get("throttled_usec", 0) / _US_PER_S or waited_s
            throttling = Throttling(stat["nr_periods"], stat["nr_throttled"], waited_s)
        except (OSError, ValueError, KeyError):
            return None
        return throttling if throttling.periods else None

    def memory_bytes(self) -> Bytes | None:
        """Return the memory in use without page cache that can be dropped at once, as `docker stats` does."""
        if self.memory is None:
            return None
        try:
            legacy = f"{self.memory}/memory.usage_in_bytes"
            used = int(read_file(legacy if file_exists(legacy) else f"{self.memory}/memory.current"))
            stat = read_file(f"{self.memory}/memory.stat")
            inactive = number_of(b"total_inactive_file", stat)
            inactive = number_of(b"inactive_file", stat) if inactive is None else inactive
            return max(0, used - (inactive or 0))
        except (OSError, ValueError):
            return None


def control_group_of(pid: int, proc: Path | None = None) -> ControlGroup | None:
    """Return the control group of a process, None if there is no such process or no group.

    Where both versions count CPU, it is the one in which the process is not in the runner's own group. Memory
    and quota are None where the process is in another group for them: that one has other members.

    Args:
        pid: One of the group's processes.
        proc: Where procfs is mounted, if not at the current root.
    """
    proc = proc or Path(roots.proc())
    try:
        paths = _memberships(proc / str(pid) / "cgroup")
        mounts = _mounts(proc)
    except (OSError, ValueError, IndexError):
        return None
    folders = {
        name: folder_in(mounts[name], paths[name]) for name in _USED if name in paths and name in mounts
    }
    accounting = [name for name in ("cpuacct", "") if name in folders]
    if not accounting:
        memory = folders.get("memory")
        return ControlGroup(None, memory) if memory else None
    own = _own_memberships(proc)
    chosen = next((name for name in accounting if paths[name] != own.get(name)), accounting[0])

    def same_group(name: str) -> Path | None:
        name = name if name in folders and chosen else ""
        return folders.get(name) if paths.get(name) == paths[chosen] else None

    return ControlGroup(folders[chosen], same_group("memory"), same_group("cpu"), same_group("blkio"))


def io_folders(pid: int) -> list[Path]:
    """Return the folders of the groups whose limits of I/O apply to a process: its own and those above.

    Args:
        pid: The process; nothing is returned for one that has ended.
    """
    proc = Path(roots.proc())
    try:
        paths = _memberships(proc / str(pid) / "cgroup")
        mounts = _mounts(proc)
    except (OSError, ValueError, IndexError):
        return []
    folders: list[Path] = []
    for name in _IO_CONTROLLERS:
        if name in paths and name in mounts:
            folder, top = folder_in(mounts[name], paths[name]), mounts[name].point
            folders += [one for one in (folder, *folder.parents) if one.is_relative_to(top)]
    return folders


def shares_group_with_runner(group: ControlGroup) -> bool:
    """Return whether the runner is in a group, whose CPU is then not that of a subject alone."""
    own = control_group_of(roots.own_pid())
    if group.cpu is None or own is None or own.cpu is None:
        return group.cpu is None
    return group.cpu == own.cpu or group.cpu in own.cpu.parents


def group_pids(group: ControlGroup) -> set[int]:
    """Return the processes in a group and in the groups below it, as far as they can be listed.

    Those of another pid namespace cannot: the kernel lists them as 0, whichever procfs is read.
    """
    pids: set[int] = set()
    for folder, _, _ in os.walk(group.cpu) if group.cpu else ():
        with suppress(OSError, ValueError):
            pids |= set(map(int, read_file(f"{folder}/cgroup.procs").split()))
    return pids - {0}


def has_member(group: ControlGroup, pid: int) -> bool:
    """Return whether a process is in a group or in one below it."""
    other = control_group_of(pid)
    if group.cpu is None or other is None or other.cpu is None:
        return False
    return group.cpu in (other.cpu, *other.cpu.parents)


def _mounts(proc: Path) -> dict[str, Hierarchy]:
    """Return the hierarchies of the machine; an agent's container has a part of them mounted as well."""
    if roots.are_foreign():  # read for every stranger
        return _foreign_mounts(str(proc), roots.sys(), int(time.monotonic() // _MOUNTS_CHANGE_S))
    return hierarchies((proc / "self" / "mountinfo").read_text(errors="surrogateescape"))


@lru_cache(maxsize=4)
def _foreign_mounts(proc: str, sys: str, _: int) -> dict[str, Hierarchy]:
    lines = Path(proc, "self", "mountinfo").read_text(errors="surrogateescape").splitlines()
    return hierarchies("\n".join(line for line in lines if f" {sys}/" in line.partition(" - ")[0]))


def _memberships(path: Path) -> dict[str, str]:
    """Return the group's path by controller, ``""`` for version 2 (cgroups(7))."""
    lines = (line.split(":", 2) for line in path.read_text(errors="surrogateescape").splitlines())
    return {controller: path for _, names, path in lines for controller in names.split(",")}


def _own_memberships(proc: Path) -> dict[str, str]:
    try:
        return _memberships(proc / "self" / "cgroup")
    except (OSError, ValueError):
        return {}


def _keyed(path: str) -> dict[str, int]:
    pairs = (line.split() for line in read_file(path).decode().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
