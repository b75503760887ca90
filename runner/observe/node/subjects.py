"""The subjects of one node: containers that the engine placed there, workers of the agent, and the agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from runner.core.codes import Role
from runner.core.observed_facts import PlacedPart, Subject, Unreadable
from runner.observe.node.messages import AGENT, DAEMONS, FORWARDER, HUB, SHIM, ObserveOrder
from runner.observe.proc_files import read_file
from runner.observe.processes import (
    children,
    is_in_nested_namespace,
    name_of,
    parent_of,
    process_ids,
    start_ticks,
)
from runner.observe.roots import are_foreign, own_pid, proc

_PYTHON: Final = "python"
_HUB_MODULES: Final = (b"runner.cluster.hub", b"runner.agent.hub")
"""The latter with the agent of its node beside it, which has the same command."""
_TARGET: Final = b"-container-ip"


def subjects_of(order: ObserveOrder) -> tuple[tuple[Subject, ...], tuple[Unreadable, ...]]:
    """Return what is to be watched, and the parts that are not what the order says."""
    subjects: list[Subject] = []
    unreadable: list[Unreadable] = []
    for part in order.placed:
        started = start_ticks(part.pid) if part.pid > 0 else None
        if reason := _why_not(part, started):
            unreadable.append(Unreadable(part.name, "cpu", reason))
        subjects.append(Subject(part.name, part.role, "cgroup", None if reason else part.pid, started))
    subjects += _workers(order.workers)
    subjects += _machinery(order.run_id, {subject.pid for subject in subjects})
    own = own_pid()
    subjects.append(Subject(AGENT, Role.RUNNER, "process", own, start_ticks(own)))
    subjects.append(Subject("system", Role.SYSTEM, "system"))
    return tuple(subjects), tuple(unreadable)


def _why_not(part: PlacedPart, started: int | None) -> str:
    """Return why a process is not the first one of a container, as a clause; empty if it is."""
    if started is None:
        return "its process has ended, or has another number on this node"
    try:
        groups = read_file(f"{proc()}/{part.pid}/cgroup").decode(errors="replace")
    except OSError:
        return "its process has ended"
    return "" if part.container_id in groups else "its process is in no control group of its container"


def _machinery(run_id: str, parts: Collection[int | None]) -> Iterator[Subject]:
    """Yield the engine's daemons, what they run for the containers of parts, and the hub of the run."""
    shims = {parent_of(pid) for pid in parts if pid is not None}
    counts: Counter[str] = Counter()
    for pid in process_ids():
        name, role = name_of(pid), Role.DAEMON
        if name.startswith(_PYTHON) and _is_hub(pid, run_id):
            name, role = HUB, Role.RUNNER
        elif name == FORWARDER:
            if not _forwards_to(pid, parts):
                continue
            role = Role.FORWARDER
        elif name in DAEMONS:
            if is_in_nested_namespace(pid):
                continue  # of another engine, in a container
        elif name != SHIM or pid not in shims:
            continue
        counts[name] += 1
        number = "" if counts[name] == 1 else f"-{counts[name]}"
        yield Subject(f"{name}{number}", role, "process", pid, start_ticks(pid))


def _forwards_to(pid: int, parts: Collection[int | None]) -> bool:
    """Return whether a docker-proxy forwards to the network of one of these processes."""
    try:
        words = read_file(f"{proc()}/{pid}/cmdline").split(b"\0")
        address = words[words.index(_TARGET) + 1]
    except (OSError, ValueError, IndexError):
        return False
    return any(part is not None and _has_address(part, address) for part in parts)


def _has_address(pid: int, address: bytes) -> bool:
    """Return whether an IPv4 address is one of a process's own network."""
    try:
        return b"|-- %b\n" % address in read_file(f"{proc()}/{pid}/net/fib_trie")
    except OSError:
        return False


def _is_hub(pid: int, run_id: str) -> bool:
    try:
        words = read_file(f"{proc()}/{pid}/cmdline").split(b"\0")
    except OSError:
        return False
    return pid != own_pid() and run_id.encode() in words and any(one in words for one in _HUB_MODULES)


def _workers(pids: Mapping[str, int]) -> Iterator[Subject]:
    numbers = _numbers_on_node() if pids else {}
    for name, pid in pids.items():
        number = numbers.get(pid)
        yield Subject(name, Role.GENERATOR, "process", number, start_ticks(number) if number else None)


def _numbers_on_node() -> dict[int, int]:
    """Return the process ids that the agent knows of its children, with their numbers on the node."""
    numbers = children(own_pid())
    return (
        {_number_inside(number): number for number in numbers} if are_foreign() else {n: n for n in numbers}
    )


def _number_inside(pid: int) -> int:
    """Return the number of a process in its own pid namespace (proc_pid_status(5)); 0 if it has ended."""
    try:
        lines = read_file(f"{proc()}/{pid}/status").decode(errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), 0)
