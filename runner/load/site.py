"""Where the workers of a stage run: on this machine, or on several nodes with clocks of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from runner.core.facts import Window
from runner.core.node_facts import NodeLoad
from runner.core.units import NS_PER_MS, Nanoseconds
from runner.cpu_affinity import check_cpus
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.worker_accounts import Account
from runner.load.worker_count import worker_count
from runner.load.worker_order import WorkerOrder

_LEAD_NS: Final[Nanoseconds] = 100 * NS_PER_MS


class Worker(Protocol):
    """A process that executes orders, on this machine or on another.

    Attributes:
        waits: Whether it has done what it was told, and waits for its next order.
    """

    waits: bool

    @property
    def pid(self) -> int:
        """Its process id, on its own machine."""

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs, or where it is not known."""

    async def write_line(self, line: bytes) -> None:
        """Send a line, its end included.

        Raises:
            trio.BrokenResourceError: The process has ended, or its machine is lost.
        """

    async def read_line(self) -> bytes | None:
        """Return the next line, None when the process has ended or its machine is lost."""

    async def wait(self) -> object:
        """Wait until the process has ended or its machine is lost."""


class WorkerSource(Protocol):
    """Where worker processes wait between two stages."""

    def take(
        self, count: int, on_spawn: Callable[[int], None]
    ) -> AbstractAsyncContextManager[Sequence[Worker]]:
        """Provide processes for one stage.

        Args:
            count: Number of processes.
            on_spawn: Called with the pid of each process on this machine.
        """


class Team(Protocol):
    """The workers of one stage, in the order of their indices."""

    @property
    def workers(self) -> Sequence[Worker]:
        """The processes."""

    def name(self, index: int) -> str:
        """Return what messages call a worker."""

    async def orders(self, orders: Sequence[WorkerOrder]) -> Sequence[WorkerOrder]:
        """Return orders whose files are where their workers can read them."""

    async def synchronize(self) -> Nanoseconds:
        """Compare all clocks; returns how far ahead the common start must be, from now."""

    def start_ns(self, index: int, start_ns: Nanoseconds) -> Nanoseconds:
        """Return what a worker's clock reads at an instant of this machine's CLOCK_MONOTONIC."""

    def started(self, window: Window) -> LoadStarted:
        """Return what is running."""

    def facts_so_far(self, accounts: Sequence[Account], window: Window) -> tuple[NodeLoad, ...]:
        """Return each node's part in a stage that is interrupted; empty for a single machine."""

    def fault(self, index: int) -> str:
        """Return why a worker is out of reach, as a clause such as ``was lost``; empty if it is not."""

    async def facts(self, accounts: Sequence[Account], window: Window) -> tuple[NodeLoad, ...]:
        """Return each node's part after the stage; empty for a single machine."""


class Site(Protocol):
    """One or several machines that offer a stage together."""

    def count(self, order: LoadOrder, targets: int) -> int:
        """Return how many workers a stage with so many addresses gets.

        Raises:
            EnvironmentLacks: It cannot be offered from here.
        """

    def gather(
        self, order: LoadOrder, count: int, on_spawn: Callable[[int], None]
    ) -> AbstractAsyncContextManager[Team]:
        """Provide the workers of one stage; they wait or end afterwards.

        Args:
            order: The stage.
            count: As `count` returned it.
            on_spawn: As of `WorkerSource.take`.

        Raises:
            EnvironmentLacks: A machine cannot take part.
        """

    def open_single(
        self, module: str, order: WorkerOrder
    ) -> AbstractAsyncContextManager[tuple[Worker, WorkerOrder]]:
        """Provide one process of a module of this package, and an order whose files it can read."""


@dataclass(frozen=True, slots=True)
class LocalTeam:
    """Workers on this machine; implements `Team`."""

    workers: Sequence[Worker]

    def name(self, index: int) -> str:
        """Return such as ``generator worker 1``."""
        return f"generator worker {index + 1}"

    async def orders(self, orders: Sequence[WorkerOrder]) -> Sequence[WorkerOrder]:
        """Return them as they are."""
        return orders

    async def synchronize(self) -> Nanoseconds:
        """Return the time in which all workers of this machine get their start instant."""
        return _LEAD_NS

    def start_ns(self, index: int, start_ns: Nanoseconds) -> Nanoseconds:
        """Return the same instant: there is one clock."""
        del index
        return start_ns

    def started(self, window: Window) -> LoadStarted:
        """Return the processes."""
        return LoadStarted(tuple(worker.pid for worker in self.workers), window)

    def fault(self, index: int) -> str:
        """Return nothing: how a process ended is known here."""
        del index
        return ""

    def facts_so_far(self, accounts: Sequence[Account], window: Window) -> tuple[NodeLoad, ...]:
        """Return nothing."""
        del accounts, window
        return ()

    async def facts(self, accounts: Sequence[Account], window: Window) -> tuple[NodeLoad, ...]:
        """Return nothing."""
        del accounts, window
        return ()


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """The runner's own machine; implements `Site`.

    Attributes:
        source: Its processes.
        on_spawn: Called with the pid of one that is opened alone.
    """

    source: WorkerSource
    on_spawn: Callable[[int], None] = lambda _: None

    def count(self, order: LoadOrder, targets: int) -> int:
        """Return how many workers this machine starts."""
        check_cpus(order.load.cpus, "load.cpus")
        return worker_count(order, targets)

    @asynccontextmanager
    async def gather(
        self, order: LoadOrder, count: int, on_spawn: Callable[[int], None]
    ) -> AsyncIterator[LocalTeam]:
        """Start processes, or use those that wait."""
        del order
        async with self.source.take(count, on_spawn) as workers:
            yield LocalTeam(workers)

    @asynccontextmanager
    async def open_single(self, module: str, order: WorkerOrder) -> AsyncIterator[tuple[Worker, WorkerOrder]]:
        """Provide one process, or use one that waits; `source` decides what it runs."""
        del module
        async with self.source.take(1, self.on_spawn) as (process,):
            yield process, order
