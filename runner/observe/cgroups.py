"""CPU and memory of a control group, version 1 or 2, found through one of its processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.core.facts import Throttling
from runner.core.units import NS_PER_S, Bytes, Seconds

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The folders of one group's counters.

    Attributes:
        cpu: Its folder in the hierarchy that counts CPU, None if there is none.
        memory: Likewise for memory.
        quota: Likewise for the limit on CPU, which version 1 keeps separately.
    """

    cpu: Path | None
    memory: Path | None
    quota: Path | None = None

    def cpu_seconds(self) -> Seconds | None:
        """Return the CPU time used by all processes that are or were in the group."""
        if self.cpu is None:
            return None
        try:
            legacy = self.cpu / "cpuacct.usage"
            if legacy.exists():
                return int(legacy.read_bytes()) / NS_PER_S
            return _keyed(self.cpu / "cpu.stat")["usage_usec"] / _US_PER_S
        except (OSError, ValueError, KeyError):
            return None

    def throttling(self) -> Throttling | None:
        """Return the effect of the CPU quota, None without a quota."""
        if self.quota is None:
            return None
        try:
            stat = _keyed(self.quota / "cpu.stat")
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
            legacy = self.memory / "memory.usage_in_bytes"
            used = int((legacy if legacy.exists() else self.memory / "memory.current").read_bytes())
            stat = _keyed(self.memory / "memory.stat")
            return max(0, used - stat.get("total_inactive_file", stat.get("inactive_file", 0)))
        except (OSError, ValueError):
            return None


def control_group_of(pid: int, proc: Path = Path("/proc")) -> ControlGroup | None:
    """Return the control group of a process, None if there is no such process or no group.

    Args:
        pid: One of the group's processes.
        proc: Where procfs is mounted.
    """
    try:
        memberships = (proc / str(pid) / "cgroup").read_text().splitlines()
        mounts = _mounts((proc / "self" / "mountinfo").read_text())
    except OSError:
        return None
    folders: dict[str, Path] = {}
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in mounts:
                folders[controller] = _below(mounts[controller], path)
    cpu = folders.get("cpuacct", folders.get(""))
    memory = folders.get("memory", folders.get(""))
    quota = folders.get("cpu", folders.get(""))
    return ControlGroup(cpu, memory, quota) if cpu or memory else None


def _below(mount: tuple[str, Path], path: str) -> Path:
    """Return a group's folder; within a container the mount shows only a part of the tree."""
    root, point = mount
    inner = path.removeprefix(root) if root != "/" else path
    return point / inner.lstrip("/")


def _mounts(mountinfo: str) -> dict[str, tuple[str, Path]]:
    """Return each controller's (``""`` for version 2) root and mount point (proc_pid_mountinfo(5))."""
    mounts: dict[str, tuple[str, Path]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        kind, _, options = after.split(" ", 2)
        place = (fields[3], Path(fields[4]))
        if kind == "cgroup2":
            mounts[""] = place
        elif kind == "cgroup":
            mounts |= dict.fromkeys(options.split(","), place)
    return mounts


def _keyed(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
