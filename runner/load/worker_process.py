"""Processes of the built-in engine: started light, driven by lines of JSON, ended in bounded time.

They stay from stage to stage: starting Python takes 0.1 s, as much as all other overhead of a stage.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

import trio

_EXIT_WITHIN_S: Final = 0.5


@dataclass(slots=True)
class WorkerProcess:
    """One process that runs a module of this package.

    Attributes:
        process: The process.
        waits: Whether it has done what it was told, and waits for its next order.
    """

    process: trio.Process
    waits: bool = False
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

    async def wait(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        return await self.process.wait()


class WorkerPool:
    """The processes of a module, from stage to stage; they end when the pool is closed, however that happens.

    Args:
        module: What they run.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._waiting: list[WorkerProcess] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await _end(self._waiting)

    @asynccontextmanager
    async def take(self, count: int, on_spawn: Callable[[int], None]) -> AsyncIterator[list[WorkerProcess]]:
        """Provide processes for one stage; afterwards those that wait stay in the pool, and the others end.

        When a stage is given up, what is in the middle of it is killed: to close thousands of connections in
        good order would take longer than users wait who have interrupted a run.

        Args:
            count: Number of processes.
            on_spawn: Called with each process's pid as soon as it exists, or is used again.
        """
        taken: list[WorkerProcess] = []
        try:
            while len(taken) < count:
                taken.append(self._next_waiting() or await _start(self._module))
                on_spawn(taken[-1].pid)
            yield taken
        except BaseException:
            for worker in taken:
                if not worker.waits and worker.returncode is None:
                    worker.process.kill()
            raise
        finally:
            self._waiting += [worker for worker in taken if worker.waits]
            await _end([worker for worker in taken if not worker.waits])

    def _next_waiting(self) -> WorkerProcess | None:
        while self._waiting:
            worker = self._waiting.pop()
            if worker.returncode is None:
                worker.waits = False
                return worker
        return None


@asynccontextmanager
async def start_processes(
    module: str, count: int, on_spawn: Callable[[int], None]
) -> AsyncIterator[list[WorkerProcess]]:
    """Start processes in sessions of their own, and end them when the block ends, however it ends.

    Args:
        module: What they run.
        count: Number of processes.
        on_spawn: Called with each process's pid as soon as it exists.
    """
    async with WorkerPool(module) as pool, pool.take(count, on_spawn) as processes:
        yield processes


async def _start(module: str) -> WorkerProcess:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    return WorkerProcess(process)


async def _end(workers: Sequence[WorkerProcess]) -> None:
    """End processes; not interrupted by a cancellation."""
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            for worker in workers:
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
