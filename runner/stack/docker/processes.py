"""Finds the processes of a stack of containers on this machine, including the engine's own.

Containers are observed as control groups. Daemons are observed process by process: dockerd is
the parent of docker-proxy, which has a role of its own. Daemons inside a container or another process
namespace belong to another engine and are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil

from runner.core.codes import Role
from runner.core.observed_facts import Subject
from runner.stack.docker.stack import Container
from runner.stack.reaper import live_start_ticks

_DAEMONS = ("dockerd", "containerd")
_FORWARDER = "docker-proxy"


def find_subjects(containers: Iterable[Container]) -> tuple[Subject, ...]:
    """Return everything to observe: the containers, the port forwarders, the daemons and their shims."""
    containers = tuple(containers)
    subjects = [
        Subject(container.plan.name, container.plan.role, "cgroup", container.pid, container.started)
        for container in containers
    ]
    published = {str(container.published) for container in containers if container.published}
    shims = {_parent(container.pid) for container in containers}
    counts: Counter[str] = Counter()
    for pid, name, role in _engine_processes(published, shims):
        counts[name] += 1
        unique = name if counts[name] == 1 else f"{name}-{counts[name]}"
        subjects.append(Subject(unique, role, "process", pid, live_start_ticks(pid)))
    return tuple(subjects)


def _engine_processes(published: set[str], shims: set[int | None]) -> Iterator[tuple[int, str, Role]]:
    for process in psutil.process_iter(["name", "cmdline"]):
        name, words = process.info["name"], process.info["cmdline"] or []
        if name not in _DAEMONS and name != _FORWARDER and process.pid not in shims:
            continue
        if _is_inside_another_namespace(process.pid):
            continue
        if name == _FORWARDER and published & _host_ports(words):
            yield process.pid, name, Role.FORWARDER
        elif name in _DAEMONS:
            yield process.pid, name, Role.DAEMON
        elif process.pid in shims:
            yield process.pid, "containerd-shim", Role.DAEMON


def _is_inside_another_namespace(pid: int) -> bool:
    """Return whether a process is in a process namespace below this one: see NSpid in proc_pid_status(5)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("NSpid:") and len(line.split()) > 2 for line in lines)


def _host_ports(words: list[str]) -> set[str]:
    """Return the values of docker-proxy's ``-host-port``."""
    return {value for key, value in pairwise(words) if key == "-host-port"}


def _parent(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return None
