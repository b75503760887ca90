"""What CPU the containers of a swarm's nodes get: all those of a node are in one control group."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from infra.swarm.cluster import Cluster

PERIOD_US: Final = 5_000
"""Short, so that programs that have used their part stand still for some milliseconds only."""
_LEAST_QUOTA_US: Final = 1_000
"""What the kernel takes."""
_NODE_WEIGHS: Final = 8
"""As much as so many processes outside, which are about as many as want to run on a node at once."""
_SHARES_OF_PROCESS: Final = 1024
_WEIGHT_OF_PROCESS, _MOST_WEIGHT = 100, 10_000
_GROUPS: Final = Path("/sys/fs/cgroup")


def weigh(name: str, nodes: int) -> None:
    """Make a swarm weigh as much as its nodes' processes would, and all of its nodes the same.

    Without this, all containers of all nodes together weigh as much as one process outside, and stand still
    for seconds on a busy machine. Engines are not in the group. Where the group cannot be made, they get
    what they get.
    """
    processes = nodes * _NODE_WEIGHS
    with suppress(OSError):
        if _is_version_2():
            folder = _made(_GROUPS / f"lpsw-{name}")
            weight = min(processes * _WEIGHT_OF_PROCESS, _MOST_WEIGHT)
            (folder / "cpu.weight").write_text(str(weight))
        else:
            folder = _made(_GROUPS / "cpu" / f"lpsw-{name}")
            (folder / "cpu.shares").write_text(str(processes * _SHARES_OF_PROCESS))


def hold(cluster: Cluster, node: str, cores: float) -> None:
    """Let all containers of a node together use no more than so many cores, until the swarm is taken down.

    The engine of the node is not in the group and is not held.
    """
    quota_us, period_us = quota(cores)
    name = Path(f"lpsw-{cluster.name}") / node
    if _is_version_2():
        (_made(_GROUPS / name) / "cpu.max").write_text(f"{quota_us} {period_us}")
        return
    folder = _made(_GROUPS / "cpu" / name)
    (folder / "cpu.cfs_quota_us").write_text("-1")
    (folder / "cpu.cfs_period_us").write_text(str(period_us))
    (folder / "cpu.cfs_quota_us").write_text(str(quota_us))


def quota(cores: float) -> tuple[int, int]:
    """Return the microseconds of CPU in a period, and the period, which is longer for less than 0.2 cores."""
    period_us = max(PERIOD_US, round(_LEAST_QUOTA_US / cores))
    return round(cores * period_us), period_us


def _is_version_2() -> bool:
    return (_GROUPS / "cgroup.controllers").exists()


def _made(folder: Path) -> Path:
    """Make a group with a share of CPU of its own; of version 2, all groups above it must allow that."""
    folder.mkdir(parents=True, exist_ok=True)
    if _is_version_2():
        above = [parent for parent in folder.parents if parent.is_relative_to(_GROUPS)]
        for parent in reversed(above):
            (parent / "cgroup.subtree_control").write_text("+cpu")
    return folder
