"""A generator process on another machine, used like `runner.load.worker_process.WorkerProcess`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from runner.cluster.agent_messages import (
    PIECE_BYTES,
    EndProcess,
    InputTaken,
    ProcessEnded,
    ProcessGarbage,
    ProcessInput,
    ProcessLine,
    ProcessStarted,
    StartProcess,
)
from runner.cluster.facts import ClockOffset
from runner.cluster.wire import WireMessage
from runner.core.units import BYTES_PER_MIB, Bytes, Nanoseconds, Seconds

MOST_UNREAD_LINES: Final = 65_536
MOST_UNREAD_BYTES: Final[Bytes] = 128 * BYTES_PER_MIB

_END_WITHIN_S: Final[Seconds] = 3

SendOrder = Callable[[str, WireMessage], Awaitable[None]]
"""Sends an order to the agent of a node; raises trio.BrokenResourceError if it is lost."""
ProcessReport = ProcessStarted | InputTaken | ProcessLine | ProcessGarbage | ProcessEnded


class RemoteWorker:
    """One process on a node.

    Args:
        node: Name of its node.
        number: That this runner gave it.
        send: Sends an order to its agent.
        clock: Returns the last measured clock of its node; None before there is one.

    Attributes:
        node: Name of its node.
        waits: Whether it has done what it was told, and waits for its next order; set by who uses it.
        error: Why it could not be started, was ended, or is lost; empty for none.
        returncode: Its exit status, negative for a signal; None while it runs, or if nobody knows.
        pid: Its process id on the node, in the agent's name space.
    """

    def __init__(
        self, node: str, number: int, send: SendOrder, clock: Callable[[], ClockOffset | None]
    ) -> None:
        self.node, self.number = node, number
        self.waits = False
        self.error = ""
        self.returncode: int | None = None
        self.pid = 0
        self._send, self._clock = send, clock
        self._lines, self._unread = trio.open_memory_channel[bytes](MOST_UNREAD_LINES)
        self._unread_bytes: Bytes = 0
        self._started, self._ended, self._was_taken = trio.Event(), trio.Event(), trio.Event()
        self._input = trio.Lock()
        self._pieces_sent = self._pieces_taken = 0

    @property
    def is_running(self) -> bool:
        """Whether it has started, and neither it nor its node is gone."""
        return self._started.is_set() and not self._ended.is_set()

    def to_local_ns(self, runner_ns: Nanoseconds) -> Nanoseconds:
        """Return what its node's CLOCK_MONOTONIC reads when this machine's reads `runner_ns`.

        The offset is that of the last `runner.cluster.client.Cluster.clocks`, which must have been called.
        """
        clock = self._clock()
        assert clock is not None
        return clock.to_node_ns(runner_ns)

    async def start(self, module: str) -> None:
        """Start it, and wait until it runs; `error` says why if it does not."""
        await self._send(self.node, StartProcess(process=self.number, module=module))
        async with trio.open_nursery() as nursery:
            for event in (self._started, self._ended):
                nursery.start_soon(_cancel_after, event, nursery.cancel_scope)

    async def write_line(self, line: bytes) -> None:
        """Send a line, its end included, and wait until the process or its pipe has taken it.

        Raises:
            trio.BrokenResourceError: The process has ended, or its node is lost.
        """
        async with self._input:
            for begin in range(0, len(line), PIECE_BYTES):
                await self._write(line[begin : begin + PIECE_BYTES])

    async def read_line(self) -> bytes | None:
        """Return the next line without its end; None when the process has ended or its node is lost."""
        try:
            line = await self._unread.receive()
        except trio.EndOfChannel:
            return None
        self._unread_bytes -= len(line)
        return line

    async def wait(self) -> int | None:
        """Wait until it has ended or its node is lost; returns its exit status if it is known."""
        await self._ended.wait()
        return self.returncode

    async def aclose(self) -> None:
        """End it: close its input, and kill it after half a second. Bounded in time, never raises."""
        with trio.CancelScope(shield=True), trio.move_on_after(_END_WITHIN_S):
            if self._ended.is_set():
                return
            try:
                await self._send(self.node, EndProcess(process=self.number))
            except trio.BrokenResourceError:
                return
            await self._ended.wait()

    def take(self, report: ProcessReport) -> None:
        """Take what its agent reports.

        Raises:
            ValueError: More lines are unread than this process may have.
        """
        match report:
            case ProcessStarted():
                self.pid = report.pid
                self._started.set()
            case InputTaken():
                self._pieces_taken += 1
                self._was_taken.set()
            case ProcessLine() | ProcessGarbage():
                self._take_line(bytes(report.line))
            case ProcessEnded():
                self.end(report.status, report.error)

    def end(self, status: int | None, error: str) -> None:
        """It has ended, or its node is lost."""
        if self._ended.is_set():
            return
        self.returncode, self.error = status, error
        self._ended.set()
        self._was_taken.set()
        self._lines.close()

    def _take_line(self, line: bytes) -> None:
        self._unread_bytes += len(line)
        if self._unread_bytes > MOST_UNREAD_BYTES:
            raise ValueError(
                f"more than {MOST_UNREAD_BYTES // BYTES_PER_MIB} MiB of a worker were not read yet"
            )
        try:
            self._lines.send_nowait(line)
        except trio.WouldBlock:
            raise ValueError(f"more than {MOST_UNREAD_LINES:,} lines of a worker were not read yet") from None
        except trio.ClosedResourceError:
            raise ValueError("a worker that had ended wrote a line") from None

    async def _write(self, piece: bytes) -> None:
        await self._send(self.node, ProcessInput(process=self.number, data=piece))
        self._pieces_sent += 1
        while self._pieces_taken < self._pieces_sent and not self._ended.is_set():
            self._was_taken = trio.Event()
            await self._was_taken.wait()
        if self._ended.is_set():
            raise trio.BrokenResourceError(self.error or "the process has ended")


async def _cancel_after(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
