"""What a stack is: a topology that is up, and how one is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from runner.core.facts import Endpoint, Event, Subject


class Guard(Protocol):
    """Ends what this run created should the runner die without tearing down."""

    def process(self, pid: int) -> None:
        """From now on, end the process `pid` and its whole process group when the runner dies."""

    def forget(self, pid: int) -> None:
        """The process and its group have ended."""

    def docker(self, base_url: str) -> None:
        """From now on, empty this Docker Engine of what carries the run's label when the runner dies."""

    def docker_emptied(self, base_url: str) -> None:
        """Nothing with the run's label is left there, and nothing is being created."""


KEPT_LINES: Final = 1000
"""How many of the last lines of a part's output are kept."""

Keep = Callable[[str, bytes], None]
"""Keeps a file's name and content for the run's archive; never raises."""


def keep_nothing(_name: str, _content: bytes) -> None:
    """For those who write no archive."""


@dataclass(frozen=True, slots=True)
class StackContext:
    """What an opener needs besides the topology.

    Attributes:
        run_id: Unique to this run; part of every label and name, and set as
            ``LOADPROOF_RUN`` in the environment of every process started.
        name: The configuration's name, ``[a-z0-9-]``.
        base_dir: The specification's folder; relative paths in it start here.
        scratch: A private folder for logs and rendered files, removed after the run.
        guard: The watchdog.
        say: Shows people a line of progress, such as a build step.
        allow_hosts: Hosts beyond this machine that the specification allows load on.
        authorized: Whether whoever runs it said so too.
        keep_rendered: Takes what was made for this stack, such as ``nginx.conf``.
        keep_log: Takes the end of what a part of the stack, such as ``app-1``, has printed.
    """

    run_id: str
    name: str
    base_dir: Path
    scratch: Path
    guard: Guard
    say: Callable[[str], None]
    allow_hosts: tuple[str, ...] = ()
    authorized: bool = False
    keep_rendered: Keep = keep_nothing
    keep_log: Keep = keep_nothing


class Stack(Protocol):
    """A topology that is up and answers its health URL."""

    @property
    def endpoint(self) -> Endpoint:
        """Where the load goes."""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What to watch, besides the generator, the runner and the host."""

    @property
    def description(self) -> Mapping[str, object]:
        """What was really built, for the report: JSON types only, no secrets."""

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Subject's name to the URL of its Prometheus metrics; empty where there are none."""

    @property
    def status_urls(self) -> Mapping[str, str]:
        """Subject's name to the URL of nginx's own counters (stub_status); empty without nginx."""

    @property
    def broken(self) -> Event | None:
        """Why the stack can no longer be used, None while it can."""

    async def wait_broken(self) -> Event:
        """Wait until a part of the stack dies; never returns while all live."""


StackOpener = Callable[[Any, StackContext], AbstractAsyncContextManager[Stack]]
"""Brings one kind of topology up, and takes it down whatever happened.

Entering raises `runner.core.errors.EnvironmentLacks` or `StackFailed`; leaving never raises,
is shielded from cancellation and takes at most a few seconds.
"""
