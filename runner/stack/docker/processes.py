"""Which processes of this machine a stack of containers is made of, the engine's own included.

Containers are watched as control groups. Daemons are watched process by process: dockerd is
the parent of docker-proxy, which has a role of its own in the ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

import psutil

from runner.core.facts import Role, Subject
from runner.stack.docker.labels import start_ticks
from runner.stack.docker.stack import Started

_DAEMONS = ("dockerd", "containerd")


def find_subjects(containers: Iterable[Started]) -> tuple[Subject, ...]:
    """Everything to watch: the containers, the port forwarders, the daemons and their shims."""
    containers = tuple(containers)
    subjects = [Subject(it.plan.name, it.plan.role, "cgroup", it.pid, it.started) for it in containers]
    published = {str(it.published) for it in containers if it.published}
    shims = {_parent(it.pid) for it in containers}
    seen: Counter[str] = Counter()
    for process, name, role in _engine_processes(published, shims):
        seen[name] += 1
        unique = name if seen[name] == 1 else f"{name}-{seen[name]}"
        subjects.append(Subject(unique, role, "process", process, start_ticks(process)))
    return tuple(subjects)


def _engine_processes(published: set[str], shims: set[int | None]) -> Iterator[tuple[int, str, Role]]:
    for process in psutil.process_iter(["name", "cmdline"]):
        name, words = process.info["name"], process.info["cmdline"] or []
        if name == "docker-proxy" and published & _host_ports(words):
            yield process.pid, name, Role.FORWARDER
        elif name in _DAEMONS:
            yield process.pid, name, Role.DAEMON
        elif process.pid in shims:
            yield process.pid, "containerd-shim", Role.DAEMON


def _host_ports(words: list[str]) -> set[str]:
    """Values of docker-proxy's ``-host-port``."""
    return {value for key, value in pairwise(words) if key == "-host-port"}


def _parent(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return None
