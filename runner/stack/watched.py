"""Services that run already on this host and are observed: found by port, by pid or by name.

Nothing of them is started or ended. One that ends while it is observed does not break the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.observed_facts import Subject
from runner.core.system_facts import ServiceFacts
from runner.core.units import Seconds
from runner.experiment.service_addresses import fill_addresses
from runner.experiment.services import Watched
from runner.experiment.suggestions import did_you_mean, join_words
from runner.stack import reaper
from runner.stack.forwarded import forwarded_to
from runner.stack.port_owners import listening_sockets, owners
from runner.stack.ports import LOOPBACK, all_listeners
from runner.stack.reaper import Process, is_running

MAX_PROCESSES: Final = 64
"""How many trees of processes one watched service may have."""

_LOOK_INTERVAL_S: Final[Seconds] = 0.25
_MAX_NAMED: Final = 8
_FORWARDER: Final = "docker-proxy"
_NAME_LENGTH: Final = 15
"""The kernel keeps so many characters of a process's name."""


@dataclass(slots=True)
class WatchedServices:
    """The services under ``topology.watch`` and their processes.

    Attributes:
        watch: Name to how it is found.
        processes: Name to the roots of its trees of processes, as they were found last.
        run_id: Processes of this run are no watched services.
    """

    watch: Mapping[str, Watched] = field(default_factory=dict)
    processes: dict[str, tuple[Process, ...]] = field(default_factory=dict)
    run_id: str | None = None

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Each root with its descendants."""
        return tuple(
            Subject(name if number == 1 else f"{name}-{number}", name, "tree", process.pid, process.started)
            for name, processes in self.processes.items()
            for number, process in enumerate(processes, start=1)
        )

    @property
    def facts(self) -> dict[str, ServiceFacts]:
        """What the report says about them."""
        return {
            name: ServiceFacts(
                origin="watched",
                port=self.watch[name].port,
                replicas=len(processes),
                pids=tuple(process.pid for process in processes),
            )
            for name, processes in self.processes.items()
        }

    @property
    def addresses(self) -> dict[str, tuple[str, int | None]]:
        """Name to where this host reaches it."""
        return {name: (LOOPBACK, one.port) for name, one in self.watch.items()}

    @property
    def inspect_urls(self) -> dict[str, str]:
        """Name to the URL of its own statistics."""
        return {
            name: fill_addresses(one.inspect, self.addresses)
            for name, one in self.watch.items()
            if one.inspect
        }

    def refuse_shared(self, others: Iterable[Process], key: str) -> None:
        """Raise EnvironmentLacks if a watched process is also another part of the system.

        Args:
            others: The processes of other parts.
            key: Where these stand in the specification.
        """
        taken = {process.pid for process in others}
        for name, processes in self.processes.items():
            for process in processes:
                if process.pid in taken:
                    raise EnvironmentLacks(
                        f"topology.watch.{name}: {process} is also in {key}",
                        hint="remove it from one of them",
                    )

    async def note_departures(self, note: Callable[[str], None]) -> None:
        """Call `note` for each process that ends, until this is cancelled, and find its successors.

        A successor is observed from the next stage on. One that had none is looked for once more now.
        """
        await trio.to_thread.run_sync(self._find_missing)
        next_look = trio.current_time()
        while True:
            for name, processes in list(self.processes.items()):
                if gone := [process for process in processes if not is_running(process)]:
                    note(await trio.to_thread.run_sync(self._replace, name, gone))
            next_look += _LOOK_INTERVAL_S if self.processes else float("inf")
            await trio.sleep_until(next_look)

    def _find_missing(self) -> None:
        for name, processes in self.processes.items():
            if not processes:
                with suppress(EnvironmentLacks):
                    self.processes[name] = _find(name, self.watch[name], self.run_id)

    def _replace(self, name: str, gone: list[Process]) -> str:
        """Find a service anew; return what happened to it."""
        ended = f"the watched service {name} lost {join_words(map(str, gone), 'and')}"
        left = tuple(process for process in self.processes[name] if process not in gone)
        try:
            self.processes[name] = _find(name, self.watch[name], self.run_id)
        except EnvironmentLacks:
            self.processes[name] = left
        new = [str(process) for process in self.processes[name] if process not in left]
        if new:
            return f"{ended}; {join_words(new, 'and')} took its place and is observed from the next stage on"
        return f"{ended}, and nothing has taken its place yet"


async def find_watched(watch: Mapping[str, Watched], run_id: str | None = None) -> WatchedServices:
    """Return the watched services with their processes.

    Args:
        watch: ``topology.watch``.
        run_id: Processes of this run are no watched services.

    Raises:
        EnvironmentLacks: One does not run, or two are the same.
    """
    return await trio.to_thread.run_sync(_find_all, watch, run_id)


def _find_all(watch: Mapping[str, Watched], run_id: str | None) -> WatchedServices:
    processes = {name: _find(name, one, run_id) for name, one in watch.items()}
    known: dict[Process, str] = {}
    for name, roots in processes.items():
        for process in roots:
            if other := known.get(process):
                raise EnvironmentLacks(
                    f"topology.watch.{name}: {process} is already watched as {other}",
                    hint="remove one of them",
                )
            known[process] = name
    return WatchedServices(watch, processes, run_id)


def _find(name: str, watched: Watched, run_id: str | None) -> tuple[Process, ...]:
    """Return the roots of a service's trees.

    Raises:
        EnvironmentLacks: There are none, or too many.
    """
    table = {process.pid: process for process in reaper.running_processes()}
    key = f"topology.watch.{name}"
    if watched.pid is not None:
        pids = _with_pid(watched.pid, table, key)
    elif watched.port is not None:
        pids = _on_port(watched.port, table, key)
    else:
        pids = _with_name(watched.name or "", table, key, reaper.own_processes(table, run_id))
    roots = _roots(pids, table)
    if len(roots) > MAX_PROCESSES:
        raise EnvironmentLacks(
            f"{key}: it has {len(roots)} processes of its own; at most {MAX_PROCESSES} can be watched",
            hint="give the pid of one, or the port",
        )
    return tuple(roots)


def _with_pid(pid: int, table: Mapping[int, Process], key: str) -> set[int]:
    if pid not in table:
        raise EnvironmentLacks(
            f"{key}: no process {pid} is running", hint="give its current pid, or its port or name instead"
        )
    return {pid}


def _on_port(port: int, table: Mapping[int, Process], key: str) -> set[int]:
    sockets = listening_sockets()
    if port not in sockets:
        raise EnvironmentLacks(f"{key}: nothing listens on port {port}", hint=_listening())
    pids = owners(sockets[port].inodes) & table.keys()
    if not pids:
        users = join_words([str(user) for user in sorted(sockets[port].users)], "and")
        raise EnvironmentLacks(
            f"{key}: the process that listens on port {port} belongs to another user (uid {users})",
            hint="give its pid or its name, or run as root",
        )
    forwarders = {pid for pid in pids if table[pid].name == _FORWARDER}
    return (pids - forwarders) | _behind(forwarders, port, table, key)


def _behind(forwarders: set[int], port: int, table: Mapping[int, Process], key: str) -> set[int]:
    """Return the processes in containers that docker-proxies forward a port to."""
    pids: set[int] = set()
    for forwarder in forwarders:
        pids |= forwarded_to(forwarder, table) & table.keys()
    if forwarders and not pids:
        raise EnvironmentLacks(
            f"{key}: {table[min(forwarders)]} listens on port {port} and forwards it to a container, whose "
            "process is not visible",
            hint="run as root, or give the name or the pid of the container's process, which "
            "`docker top CONTAINER` shows",
        )
    return pids


def _listening() -> str:
    """Return which ports have listeners, for a hint."""
    by_port = {listener.port: f"{listener.port} by {listener.owner}" for listener in all_listeners()}
    shown = ", ".join(text for _, text in sorted(by_port.items())[:_MAX_NAMED])
    more = f" and {len(by_port) - _MAX_NAMED} more ports" if len(by_port) > _MAX_NAMED else ""
    return f"start the service first; listened on are {shown}{more}" if shown else "start the service first"


def _with_name(name: str, table: Mapping[int, Process], key: str, excluded: set[int]) -> set[int]:
    """Return the processes with a name; neither those of this run nor the runner's own."""
    candidates = {pid: process for pid, process in table.items() if pid not in excluded}
    pids = {pid for pid, process in candidates.items() if process.name == name[:_NAME_LENGTH]}
    if not pids:
        near = did_you_mean(name, {process.name for process in candidates.values()})
        hint = near or "start the service first; `ps -e` shows the names of processes"
        raise EnvironmentLacks(f"{key}: no process is called {name}", hint=hint)
    return pids


def _roots(pids: set[int], table: Mapping[int, Process]) -> list[Process]:
    """Return the processes that have no ancestor among them; several workers stand for their master."""
    roots = {pid for pid in pids if not _ancestors(pid, table) & pids}
    parents = {table[pid].parent for pid in roots}
    if len(roots) > 1 and len(parents) == 1:
        (parent,) = parents
        master = table.get(parent)
        if master and parent > 1 and all(master.name == table[pid].name for pid in roots):
            roots = {parent}
    return sorted((table[pid] for pid in roots), key=lambda process: (process.started, process.pid))


def _ancestors(pid: int, table: Mapping[int, Process]) -> set[int]:
    above: set[int] = set()
    while pid in table and (pid := table[pid].parent) not in above and pid > 0:
        above.add(pid)
    return above
