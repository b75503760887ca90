"""The interfaces of this package: a running topology (`Stack`) and the function that opens one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from runner.core.endpoint import Endpoint
from runner.core.facts import Event
from runner.core.observed_facts import Subject
from runner.core.system_facts import SystemDescription
from runner.core.units import Seconds
from runner.experiment.service_addresses import Addresses
from runner.stack.watched import WatchedServices

if TYPE_CHECKING:  # runs on one machine need neither
    from runner.cluster.client import Cluster
    from runner.cluster.placement import Placer
    from runner.stack.swarm.preparation import PreparedStack


class Guard(Protocol):
    """Ends what this run created if the runner dies without tearing it down."""

    def process(self, pid: int) -> None:
        """From now on, end the process `pid` and its whole process group when the runner dies."""

    def forget(self, pid: int) -> None:
        """Stop guarding a process: it and its group have ended."""

    def docker(self, base_url: str) -> None:
        """From now on, remove this run's objects from this Docker Engine when the runner dies."""

    def docker_emptied(self, base_url: str) -> None:
        """Stop guarding an engine: it holds nothing of this run and is creating nothing."""


class Unguarded:
    """A guard that does nothing: for programs that leave nothing behind."""

    def process(self, pid: int) -> None:
        """Do nothing."""

    def forget(self, pid: int) -> None:
        """Do nothing."""

    def docker(self, base_url: str) -> None:
        """Do nothing."""

    def docker_emptied(self, base_url: str) -> None:
        """Do nothing."""


KEPT_LINES: Final = 1000
"""How many of the last output lines of a command or container are kept."""
QUOTED_LINES: Final = 5
"""How many of the last output lines of each replica a report quotes."""

Keep = Callable[[str, bytes], None]
"""Stores a file, given its name and content, in the run's archive; never raises."""


def keep_nothing(_name: str, _content: bytes) -> None:
    """Ignore the file, for a run without an archive."""


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
        say: Shows the user a line of progress, such as a build step.
        allow_hosts: Hosts other than this machine that the specification allows load on.
        authorized: Whether ``--i-am-authorized`` was given.
        commands_in: Where commands start; None for the runner's own working directory.
        keep_rendered: Stores a file that was generated for this stack, such as ``nginx.conf``.
        keep_log: Stores the end of the output of one command or container, such as ``app-1``.
        request_secrets: Name to value of what requests contain and no output may show.
        cluster: The agents on several nodes; None where everything is on this machine.
        placer: Places programs on these nodes; None as `cluster`.
        prepared: What was read and obtained for a stack of a swarm before its agents; None if nothing was.
        not_pulled: Images that could not be pulled in this run and have a stand-in; the stacks of a run share
            it.
    """

    run_id: str
    name: str
    base_dir: Path
    scratch: Path
    guard: Guard
    say: Callable[[str], None]
    allow_hosts: tuple[str, ...] = ()
    authorized: bool = False
    commands_in: Path | None = None
    keep_rendered: Keep = keep_nothing
    keep_log: Keep = keep_nothing
    request_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    cluster: Cluster | None = None
    placer: Placer | None = None
    prepared: PreparedStack | None = None
    not_pulled: set[str] = field(default_factory=set, repr=False)


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """How a program inside a part of a stack ended.

    Attributes:
        status: Exit status; negative: the signal that ended it.
        output: The end of both of its output streams, in the order in which they were written; the secrets
            that the stack knows are masked.
    """

    status: int
    output: tuple[str, ...]


class Stack(Protocol):
    """A running topology whose health URL responds."""

    @property
    def endpoint(self) -> Endpoint:
        """Where the load goes."""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What to observe, besides the generator, the runner and the host."""

    @property
    def description(self) -> SystemDescription:
        """What was really built, without secrets."""

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """Subject name to the URL of its Prometheus metrics; empty where there are none."""

    @property
    def status_urls(self) -> Mapping[str, str]:
        """Subject name to the URL of nginx's own counters (stub_status); empty without nginx."""

    @property
    def inspect_urls(self) -> Mapping[str, str]:
        """Service to the URL, with credentials, with which its own statistics are read from this host."""

    @property
    def watched(self) -> WatchedServices:
        """The services that ran already, whose processes may end without breaking the stack."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """Name to value of what no stored text may contain."""

    async def app_output(self) -> tuple[str, ...]:
        """Return the last lines that the app has written, secrets masked; empty where that is not known."""

    async def proxy_errors(self) -> tuple[str, ...]:
        """Return the last messages of the proxy's error log, secrets masked; empty where it has none."""

    @property
    def broken(self) -> Event | None:
        """Why the stack can no longer be used; None while it can."""

    async def wait_broken(self) -> Event:
        """Wait until a part of the stack dies; never return while all parts live."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that programs can be run inside, such as ``app`` and ``db``."""

    def addresses(self, part: str | None) -> Addresses:
        """Return the addresses of services, as they are reached from inside a part; None for this host."""

    async def run_inside(
        self, part: str, argv: Sequence[str], *, env: Mapping[str, str], within: Seconds
    ) -> ProgramResult:
        """Run a program inside a part, with the environment of that part and `env`, and wait for its end.

        Inside a container, that is an exec in its first replica; of a process, it is a process of its own on
        this host with the same environment and working directory. It is ended with everything that it
        started if it takes longer than `within`, or if this is cancelled.

        Raises:
            EnvironmentLacks: There is no such part or no such program, or it cannot be run.
            TimeoutError: It took longer than `within` seconds; its output so far is the exception's args.
        """


# `Any`: an opener takes the model of its own kind only, and `runner.stack.kinds` pairs the two
StackOpener = Callable[[Any, StackContext], AbstractAsyncContextManager[Stack]]
"""Brings one kind of topology up, and takes it down on leaving.

Entering raises `runner.core.errors.EnvironmentLacks` or `StackFailed`. Leaving never raises,
is shielded from cancellation and takes at most a few seconds.
"""
