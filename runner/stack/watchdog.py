"""The runner's end of the watchdog: what is said here is cleaned up after ``kill -9``, too.

A parent-death signal would not do: trio starts processes from a worker thread, and that
signal is sent when the *thread* ends. A pipe's end of file comes only from the process's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.stack.reaper import COOKIE, start_ticks
from runner.stack.watchdog_process import READY

_CLOSES_WITHIN_S: Final = 10.0


class Watchdog:
    """Tells the watchdog process what this run created; implements `runner.stack.protocols.Guard`.

    Every call returns at once. Should the watchdog itself have been killed, nothing is said
    and the run goes on unguarded.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe

    def process(self, pid: int) -> None:
        """End the process and its group when the runner is gone."""
        started = start_ticks(pid)
        if started is not None:
            self._say({"process": [pid, started]})

    def forget(self, pid: int) -> None:
        """The process and its group have ended."""
        self._say({"forget": pid})

    def docker(self, base_url: str) -> None:
        """Remove what carries this run's label from a Docker Engine when the runner is gone."""
        self._say({"docker": base_url})

    def docker_emptied(self, base_url: str) -> None:
        """The engine holds nothing of this run any more."""
        self._say({"docker_emptied": base_url})

    def _say(self, line: dict[str, object]) -> None:
        with suppress(BrokenPipeError):
            self._pipe.write(json.dumps(line).encode() + b"\n")


@asynccontextmanager
async def open_watchdog(run_id: str) -> AsyncIterator[Watchdog]:
    """A watchdog for the length of a run.

    Whatever is still registered, or carries the run's cookie, is ended on leaving, too.

    Raises:
        EnvironmentLacks: Its process does not start.
    """
    process = await trio.to_thread.run_sync(_start, run_id)
    try:
        yield Watchdog(process.stdin)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_close, process)


def _start(run_id: str) -> subprocess.Popen[bytes]:
    # Without an outer run's cookie: a run inside a run must clean up although it is itself ended.
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
    with process.stdout as answer:
        if answer.readline() != READY:
            _close(process)
            raise EnvironmentLacks(
                "the watchdog process does not start",
                hint=f"see what `{sys.executable} -m runner.stack.watchdog_process x` says",
            )
    return process


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):  # then it still has much to remove, and goes on alone
        process.wait(_CLOSES_WITHIN_S)
