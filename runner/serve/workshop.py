"""Processes that read runs and make pages, so that a hostile file can cost one of them and nothing else.

Each has a bound on memory and one on the time of a job; the server goes on when one of them dies.
"""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from typing import Any, Final

import trio

from runner.core.units import Seconds
from runner.serve.job_pipe import JOB_CPU_S, LENGTH

JOB_S: Final[Seconds] = 180.0
"""How long it may take on a machine that is busy."""
MAX_WAITING: Final = 24

_WORKER: Final = "runner.serve.worker"
_MARGIN_S: Final[Seconds] = 2.0
_CHUNK: Final = 1024 * 1024


class JobFailed(Exception):  # noqa: N818  (reads as the sentence it is)
    """A job has no result.

    Attributes:
        message: What is wrong, a phrase.
        hint: What to do; may be empty.
        details: More lines; may be empty.
        kind: Name of the exception in the process, empty if the process died or there are too many jobs.
    """

    def __init__(self, message: str, hint: str = "", details: tuple[str, ...] = (), kind: str = "") -> None:
        super().__init__(message)
        self.message, self.hint, self.details, self.kind = message, hint, details, kind


class Busy(JobFailed):
    """Too many jobs wait already."""


class Workshop:
    """Some processes of one kind.

    Args:
        processes: How many at most; each is started when it is needed first.
    """

    def __init__(self, processes: int) -> None:
        self._limiter = trio.CapacityLimiter(processes)
        self._idle: list[trio.Process] = []
        self._waiting = 0

    async def run(self, job: str, *arguments: object) -> Any:
        """Return what a function of `runner.serve.jobs` returns for these arguments.

        It is named, because to import it takes longer than to start the server.

        Raises:
            JobFailed: It raised one of the program's errors, took too long, or needs too much memory.
            Busy: There are too many jobs.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy("too many pages are being made at the moment", "try again in some seconds")
        self._waiting += 1
        try:
            async with self._limiter:
                return await self._run(pickle.dumps((job, arguments)))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Kill the processes that are idle; those at work are killed when their job is cancelled."""
        while self._idle:
            self._idle.pop().kill()

    async def _run(self, job: bytes) -> Any:
        process = self._idle.pop() if self._idle else await _start()
        is_unharmed = False
        try:
            with trio.fail_after(JOB_S):
                answer = await _exchange(process, job)
            is_unharmed = True
        except trio.TooSlowError:
            raise _too_slow() from None
        except (trio.BrokenResourceError, EOFError):
            with trio.move_on_after(_MARGIN_S):
                await process.wait()
            if process.returncode == -signal.SIGPROF:
                raise _too_slow() from None
            raise JobFailed(
                "reading it needs more memory than one run may take, or ended a process"
            ) from None
        finally:
            if is_unharmed:
                self._idle.append(process)
            else:
                process.kill()
        is_result, value = pickle.loads(answer)  # noqa: S301  (of our own process)
        if is_result:
            return value
        raise JobFailed(*value)


def _too_slow() -> JobFailed:
    return JobFailed(
        f"it takes more than {JOB_CPU_S:.0f} s of CPU time",
        "use the command line, which waits: runner report RUN",
    )


async def _start() -> trio.Process:
    return await trio.lowlevel.open_process(
        [sys.executable, "-P", "-m", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the server
    )


async def _exchange(process: trio.Process, job: bytes) -> bytes:
    """Send a job and return the answer.

    Raises:
        trio.BrokenResourceError: The process has ended.
        EOFError: It ended meanwhile.
    """
    assert process.stdin is not None
    await process.stdin.send_all(LENGTH.pack(len(job)) + job)
    (length,) = LENGTH.unpack(await _receive(process, LENGTH.size))
    return await _receive(process, length)


async def _receive(process: trio.Process, length: int) -> bytes:
    assert process.stdout is not None
    content = bytearray()
    while len(content) < length:
        piece = await process.stdout.receive_some(min(_CHUNK, length - len(content)))
        if not piece:
            raise EOFError
        content += piece
    return bytes(content)
