"""The runner's side of the watchdog, which cleans up even after ``kill -9`` of the runner.

A parent-death signal would not do: trio starts processes from a worker thread, and that
signal is sent when the *thread* ends. A pipe reaches its end of file only when the *process* ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO, Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.stack.reaper import COOKIE, start_ticks
from runner.stack.watchdog_process import READY

_CLOSES_WITHIN_S: Final = 10.0


class Watchdog:
    """Tells the watchdog process what this run created; implements `runner.stack.protocols.Guard`.

    Every call returns at once. If the watchdog itself was killed, calls do nothing and the run
    goes on unguarded.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe

    def process(self, pid: int) -> None:
        """From now on, end the process and its group when the runner dies."""
        started = start_ticks(pid)
        if started is not None:
            self._send({"process": [pid, started]})

    def forget(self, pid: int) -> None:
        """Stop guarding a process: it and its group have ended."""
        self._send({"forget": pid})

    def docker(self, base_url: str) -> None:
        """From now on, remove this run's objects from a Docker Engine when the runner dies."""
        self._send({"docker": base_url})

    def docker_emptied(self, base_url: str) -> None:
        """Stop guarding an engine: it holds nothing of this run any more."""
        self._send({"docker_emptied": base_url})

    def _send(self, message: dict[str, object]) -> None:
        with suppress(BrokenPipeError):
            self._pipe.write(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def open_watchdog(run_id: str) -> AsyncIterator[Watchdog]:
    """Run a watchdog process for the length of a run.

    On leaving, it also ends everything that is still registered or carries the run's cookie.

    Raises:
        EnvironmentLacks: The watchdog process does not start.
    """
    process = await trio.to_thread.run_sync(_start, run_id)
    assert process.stdin is not None
    try:
        yield Watchdog(process.stdin)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_close, process)


def _start(run_id: str) -> subprocess.Popen[bytes]:
    # Without an outer run's cookie: a run inside a run must clean up even when it is ended itself.
    environment = {name: value for name, value in os.environ.items() if name != COOKIE}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "runner.stack.watchdog_process", run_id],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as stdout:
        if stdout.readline() != READY:
            _close(process)
            raise EnvironmentLacks(
                "the watchdog process does not start",
                hint=f"run `{sys.executable} -m runner.stack.watchdog_process x` to see why",
            )
    return process


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):  # it has much to remove, and goes on by itself
        process.wait(_CLOSES_WITHIN_S)
