"""Topology `external`: something that already runs. Nothing is built, nothing is ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import trio

from runner.errors import EnvironmentLacks, StackFailed
from runner.facts import Endpoint, Event, Role, Subject
from runner.spec.model import ExternalTopology
from runner.stack.contract import StackContext
from runner.stack.readiness import wait_ready
from runner.stack.reaper import Process, is_running, look_up
from runner.units import Seconds

_ANSWERS_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final[Seconds] = 0.1


@dataclass(slots=True)
class ExternalStack:
    """A service of somebody else's; implements `runner.stack.contract.Stack`."""

    endpoint: Endpoint
    processes: tuple[Process, ...]
    description: Mapping[str, object]
    metrics_urls: Mapping[str, str] = field(default_factory=dict)
    _broken: Event | None = field(default=None, init=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """The processes named in the specification, each with its descendants."""
        names = ["app"] if len(self.processes) == 1 else [f"app-{n + 1}" for n in range(len(self.processes))]
        return tuple(
            Subject(name, Role.APP, "tree", process.pid, process.started)
            for name, process in zip(names, self.processes, strict=True)
        )

    @property
    def broken(self) -> Event | None:
        """Which of the processes is gone; a service without pids is never known to be."""
        if self._broken is None:
            gone = next((process for process in self.processes if not is_running(process)), None)
            self._broken = Event("app-died", f"the app's process {gone.pid} is gone") if gone else None
        return self._broken

    async def wait_broken(self) -> Event:
        """Wait until one of the processes is gone."""
        beat = trio.current_time()
        while not (event := self.broken):
            beat += _LOOK_EVERY_S if self.processes else float("inf")
            await trio.sleep_until(beat)
        return event


@asynccontextmanager
async def open_external(topology: ExternalTopology, _ctx: StackContext) -> AsyncIterator[ExternalStack]:
    """See that the service answers and its processes exist.

    Raises:
        EnvironmentLacks: A pid is not that of a process which can be watched.
        StackFailed: The service does not answer.
    """
    processes = tuple(_find_process(pid) for pid in topology.pids)
    url = urlsplit(topology.url)
    host, port = url.hostname or "", url.port or 80
    if topology.health is None:
        await _connect(topology.url, host, port)
    else:
        health = topology.url.rstrip("/") + topology.health
        await wait_ready(health, deadline_s=_ANSWERS_WITHIN_S, alive=lambda: None, name=topology.url)
    description = {"kind": "external", "url": topology.url, "pids": list(topology.pids)}
    endpoint = Endpoint(host, port, "http", url.path.rstrip("/"))
    yield ExternalStack(endpoint, processes, description)


def _find_process(pid: int) -> Process:
    process = look_up(pid)
    if process is None or not is_running(process):
        raise EnvironmentLacks(
            f"topology.pids: there is no process {pid} that can be watched",
            hint="give the pids the service has now, or leave `pids` out: its CPU is then not measured",
        )
    return process


async def _connect(url: str, host: str, port: int) -> None:
    try:
        with trio.fail_after(_ANSWERS_WITHIN_S):
            stream = await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        raise StackFailed(f"{url} does not accept a connection within {_ANSWERS_WITHIN_S:g} s") from None
    except OSError as error:
        raise StackFailed(
            f"{url} cannot be reached: {_reason(error)}", hint="start the service, or correct the url"
        ) from error
    await stream.aclose()


def _reason(error: OSError) -> str:
    """What the system said; trio puts one error for each address of a name into a group."""
    cause: BaseException = error
    while isinstance(cause.__cause__, BaseExceptionGroup):
        cause = cause.__cause__.exceptions[0]
    number = getattr(cause, "errno", None) or 0  # name look-ups have negative ones, with their own words
    return os.strerror(number) if number > 0 else str(getattr(cause, "strerror", cause))
