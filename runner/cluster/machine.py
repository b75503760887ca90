"""What an agent finds about its machine, without privileges and from inside a container."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from runner.cluster.facts import AgentInfo
from runner.core.units import Bytes, Cores

_GROUPS = Path("/sys/fs/cgroup")


def describe_machine(modules: Iterable[str], kinds: Iterable[str]) -> AgentInfo:
    """Return what an agent says of itself when it joins.

    Args:
        modules: That it can start.
        kinds: Of questions that it answers.
    """
    machine = os.uname()
    return AgentInfo(
        hostname=machine.nodename,
        pid=os.getpid(),
        cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        architecture=machine.machine,
        kernel=machine.release,
        python=platform.python_version(),
        boot_id=_text(Path("/proc/sys/kernel/random/boot_id")),
        modules=tuple(sorted(modules)),
        kinds=tuple(sorted(kinds)),
    )


def usable_cores(groups: Path = _GROUPS) -> Cores:
    """Return how many processors this process may use: the smaller of its affinity and its group's quota.

    Args:
        groups: Where the kernel shows the container's own control group, of version 1 or 2.
    """
    return min(len(os.sched_getaffinity(0)), _quota(groups))


def _quota(groups: Path) -> Cores:
    in_v1 = groups / "cpu"
    fields = _text(groups / "cpu.max").split() or [
        _text(in_v1 / "cpu.cfs_quota_us"),
        _text(in_v1 / "cpu.cfs_period_us"),
    ]
    quota, period = (int(field) if field.isdigit() else 0 for field in (*fields, "", "")[:2])
    return quota / period if quota and period else float("inf")


def _memory_bytes() -> Bytes:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
