"""Holds a node of a swarm to a fraction of a processor: its containers are in one control group."""

from __future__ import annotations

from pathlib import Path

from infra.swarm.cluster import Cluster

PERIOD_US = 5_000
"""Short, so that programs that have used their part stand still for some milliseconds only."""
_GROUPS = Path("/sys/fs/cgroup")


def hold(cluster: Cluster, node: str, cores: float) -> None:
    """Let all containers of a node together use no more than so many cores, until the swarm is taken down.

    The engine of the node is not in the group and is not held.
    """
    quota_us = round(cores * PERIOD_US)
    name = Path(f"lpsw-{cluster.name}") / node
    if (_GROUPS / "cgroup.controllers").exists():
        folder = _GROUPS / name
        folder.mkdir(parents=True, exist_ok=True)
        for above in (folder.parent.parent, folder.parent):
            (above / "cgroup.subtree_control").write_text("+cpu")
        (folder / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        return
    folder = _GROUPS / "cpu" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text("-1")
    (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
    (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
