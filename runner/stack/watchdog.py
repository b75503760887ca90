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
from pathlib import Path
from typing import IO, Final

import trio

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.stack.control_group import create_group
from runner.stack.leftovers import WATCHDOG, end_leftovers
from runner.stack.reaper import COOKIE, end, start_ticks
from runner.stack.run_record import append, conclude, create_record, read_messages, record_path
from runner.stack.watchdog_process import READY

_CLOSES_WITHIN_S: Final = 10.0
_GRACE_S: Final = 1.0


class Watchdog:
    """Tells the watchdog process what this run created; implements `runner.stack.protocols.Guard`.

    Every call returns at once. If the watchdog itself was killed, calls do nothing and the run
    goes on unguarded.
    """

    def __init__(self, pipe: IO[bytes], record: int | None = None) -> None:
        self._pipe = pipe
        self._record = record

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
        append(self._record, message)
        with suppress(BrokenPipeError):
            self._pipe.write(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def open_watchdog(run_id: str) -> AsyncIterator[Watchdog]:
    """Run a watchdog process for the length of a run, after ending what killed runs left behind.

    On leaving, it also ends everything that is still registered or belongs to the run by descent, control
    group or cookie.

    Raises:
        EnvironmentLacks: The watchdog process does not start.
    """
    await trio.to_thread.run_sync(_sweep)
    group = create_group(run_id)
    record = create_record(run_id, group)
    path = record_path(record)
    try:
        process = await trio.to_thread.run_sync(_start, run_id, path, group)
        assert process.stdin is not None
        try:
            yield Watchdog(process.stdin, record)
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(_close, process)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_conclude, run_id, record, path, group)


def _sweep() -> None:
    with suppress(StackFailed):  # `runner clean` reports it
        end_leftovers()


def _conclude(run_id: str, record: int | None, path: Path | None, group: Path | None) -> None:
    """Do the watchdog's work if it was killed: then the record is still there."""
    if record is not None:
        os.close(record)
    if path is None or path.exists():
        roots = read_messages(path.read_bytes().splitlines()[1:])[0] if path else {}
        if end(run_id, roots, grace_s=_GRACE_S, group=group):
            conclude(path, group)


def _start(run_id: str, record: Path | None, group: Path | None) -> subprocess.Popen[bytes]:
    # Without an outer run's cookie: a run inside a run must clean up even when it is ended itself.
    environment = {name: value for name, value in os.environ.items() if name != COOKIE}
    places = [str(place or "") for place in (record, group)]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", WATCHDOG, run_id, *places],
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
