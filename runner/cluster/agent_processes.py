"""The generator processes of an agent: it relays their lines, as they are, and ends them with itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import trio
from msgspec import Raw

from runner.cluster.agent_messages import (
    QUOTED_BYTES,
    EndProcess,
    InputTaken,
    ProcessEnded,
    ProcessGarbage,
    ProcessInput,
    ProcessLine,
    ProcessStarted,
    StartProcess,
)
from runner.cluster.heartbeat import Heartbeat
from runner.cluster.lines import MAX_LINE, HalfLine, LineReader, LineTooLong
from runner.cluster.wire import WireMessage, is_json
from runner.core.units import Seconds

MOST_PROCESSES: Final = 256

_EXIT_WITHIN_S: Final[Seconds] = 0.5

Report = Callable[[WireMessage], Awaitable[None]]
"""Sends a report to the runner."""


class AgentProcesses:
    """Processes by the numbers that the runner gave them.

    Args:
        modules: That may be started.
        report: Sends a report to the runner.
        nursery: In which processes are followed.
        heartbeat: Which they watch: those that send load end when it is silent.
    """

    def __init__(
        self, modules: Collection[str], report: Report, nursery: trio.Nursery, heartbeat: Heartbeat
    ) -> None:
        self._modules, self._report, self._nursery = modules, report, nursery
        self._heartbeat = heartbeat
        self._processes: dict[int, trio.Process] = {}
        self._numbers: set[int] = set()

    def pids(self) -> Mapping[int, int]:
        """Return the pids of the processes that run, by their numbers."""
        return {number: process.pid for number, process in self._processes.items()}

    def obey(self, order: StartProcess | ProcessInput | EndProcess) -> None:
        """Begin to do what the runner wants.

        Raises:
            ValueError: A number was used before.
        """
        if isinstance(order, StartProcess):
            if order.process in self._numbers:
                raise ValueError(f"process {order.process} was started before")
            self._numbers.add(order.process)
            self._nursery.start_soon(self._run, order)
        elif process := self._processes.get(order.process):
            if isinstance(order, EndProcess):
                self._nursery.start_soon(_end, process)
            else:
                self._nursery.start_soon(self._write, process, order)

    async def end_all(self) -> None:
        """End all processes; takes half a second at most, and is not interrupted."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for process in self._processes.values():
                    nursery.start_soon(_end, process)

    async def _run(self, order: StartProcess) -> None:
        """Start a process and relay its lines until it ends."""
        reason = self._objection(order)
        if reason:
            await self._report(ProcessEnded(process=order.process, error=reason))
            return
        try:
            process = await _start(order.module, self._heartbeat)
        except OSError as error:
            await self._report(ProcessEnded(process=order.process, error=f"it cannot be started: {error}"))
            return
        self._processes[order.process] = process
        await self._report(ProcessStarted(process=order.process, pid=process.pid))
        fault = await self._relay(order.process, process)
        if fault:
            process.kill()
        await process.wait()
        del self._processes[order.process]
        await _close(process)
        await self._report(ProcessEnded(process=order.process, status=process.returncode, error=fault))

    def _objection(self, order: StartProcess) -> str:
        if order.module not in self._modules:
            return f"this agent does not start {order.module}"
        if len(self._processes) >= MOST_PROCESSES:
            return f"this agent starts at most {MOST_PROCESSES} processes"
        return ""

    async def _relay(self, number: int, process: trio.Process) -> str:
        """Relay all lines; returns why the process has to be ended, empty if its output has ended."""
        assert process.stdout is not None
        reader = LineReader(process.stdout, MAX_LINE)
        try:
            while (line := await reader.line()) is not None:
                await self._report(_as_report(number, line))
        except LineTooLong as error:
            return f"it wrote {error}"
        except (HalfLine, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it was killed while it wrote
        return ""

    async def _write(self, process: trio.Process, order: ProcessInput) -> None:
        """Write a piece of input; the runner sends the next one when this one has been taken."""
        assert process.stdin is not None
        try:
            await process.stdin.send_all(order.data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return  # its end is reported by who reads its output
        await self._report(InputTaken(process=order.process))


def _as_report(number: int, line: bytes) -> ProcessLine | ProcessGarbage:
    if is_json(line):
        return ProcessLine(process=number, line=Raw(line))
    return ProcessGarbage(process=number, line=line[:QUOTED_BYTES])


async def _start(module: str, heartbeat: Heartbeat) -> trio.Process:
    return await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        pass_fds=(heartbeat.fd,),
        env={**os.environ, **heartbeat.environment},
    )


async def _end(process: trio.Process) -> None:
    """Close the process's input, and kill it if it does not exit then."""
    assert process.stdin is not None
    await trio.aclose_forcefully(process.stdin)
    with trio.move_on_after(_EXIT_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()


async def _close(process: trio.Process) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            await trio.aclose_forcefully(stream)
