"""Processes of the built-in engine: started light, driven by lines of JSON, ended in bounded time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

_EXIT_WITHIN_S: Final = 0.5


@dataclass(slots=True)
class WorkerProcess:
    """One process that runs a module of this package."""

    process: trio.Process
    _buffer: bytes = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self.process.returncode

    async def write_line(self, line: bytes) -> None:
        """Send a line, its end included.

        Raises:
            trio.BrokenResourceError: The process has ended.
        """
        assert self.process.stdin is not None
        await self.process.stdin.send_all(line)

    async def read_line(self) -> bytes | None:
        """Return the next line, None when the process has ended."""
        assert self.process.stdout is not None
        while b"\n" not in self._buffer:
            chunk = await self.process.stdout.receive_some()
            if not chunk:
                return None
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


@asynccontextmanager
async def start_processes(
    module: str, count: int, on_spawn: Callable[[int], None]
) -> AsyncIterator[list[WorkerProcess]]:
    """Start `count` processes in sessions of their own, and end them when the block ends, however it ends.

    Args:
        module: What they run.
        count: Number of processes.
        on_spawn: Called with each process's pid as soon as it exists.
    """
    started: list[WorkerProcess] = []
    try:
        for _ in range(count):
            process = await trio.lowlevel.open_process(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            started.append(WorkerProcess(process))
            on_spawn(process.pid)
        yield started
    finally:
        with trio.CancelScope(shield=True):
            await _end(started)


async def _end(started: Sequence[WorkerProcess]) -> None:
    async with trio.open_nursery() as nursery:
        for worker in started:
            nursery.start_soon(_end_one, worker.process)


async def _end_one(process: trio.Process) -> None:
    """Close the process's input, and kill it if it does not exit then."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.aclose()
    with trio.move_on_after(_EXIT_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.stdout.aclose()
