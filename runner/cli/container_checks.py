"""Checks what a runner inside a container sees of its host: its processes, and the control groups of others.

A container has namespaces of its own, which hide both. The kernel gives the host's namespaces fixed numbers
(``PROC_PID_INIT_INO`` and ``PROC_CGROUP_INIT_INO`` in its include/linux/proc_ns.h).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runner.core.control_groups import hierarchies
from runner.stack.docker.checkup import DockerCheck as Check

_HOST_PID_NAMESPACE: Final = 0xEFFFFFFC
_HOST_CGROUP_NAMESPACE: Final = 0xEFFFFFFB
_MARKS: Final = (".dockerenv", "run/.containerenv")


def check_container(root: Path = Path("/")) -> list[Check]:
    """Return what this container lacks or has; nothing outside containers.

    Args:
        root: Of the file system, with procfs.
    """
    if not any((root / mark).exists() for mark in _MARKS):
        return []
    return [_processes(root), _control_groups(root), _programs()]


def _processes(root: Path) -> Check:
    name = "the host's processes"
    if _namespace(root, "pid") == _HOST_PID_NAMESPACE:
        return Check(name, "ok", "visible from this container")
    advice = (
        "experiments with containers need them, and so does the CPU of other programs: run this container "
        "with --pid host"
    )
    return Check(name, "missing", "not visible from this container", advice)


def _control_groups(root: Path) -> Check:
    name = "the host's control groups"
    try:
        mounted = hierarchies((root / "proc/self/mountinfo").read_text(errors="surrogateescape"))
    except OSError:
        mounted = {}
    whole = any(hierarchy.root == "/" for hierarchy in mounted.values())
    if whole and _namespace(root, "cgroup") == _HOST_CGROUP_NAMESPACE:
        return Check(name, "ok", "visible from this container")
    advice = (
        "CPU, throttling and memory of an experiment's containers come from them: run this container with "
        "--cgroupns host --volume /sys/fs/cgroup:/sys/fs/cgroup"
    )
    return Check(name, "limited", "not visible from this container", advice)


def _programs() -> Check:
    advice = "put a program that `kind: process` starts into the image, or use `kind: docker`"
    return Check("the host's programs", "limited", "only those of this container can be started", advice)


def _namespace(root: Path, kind: str) -> int | None:
    """Return the number of a namespace of this process; None if it cannot be read."""
    try:
        return int((root / "proc/self/ns" / kind).readlink().name.partition("[")[2].rstrip("]"))
    except (OSError, ValueError):
        return None
