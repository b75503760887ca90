"""A command below a small parent of its own, `runner.stack.supervisor_process`, as the runner sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.stack import supervisor_process
from runner.stack.control_group import create_group
from runner.stack.exit_status import UNKNOWN_STATUS
from runner.stack.protocols import StackContext
from runner.stack.reaper import COOKIE, live_start_ticks

_LOOK_INTERVAL_S: Final = 0.05
_STARTS_WITHIN_S: Final = 30.0


@dataclass(slots=True)
class Supervised:
    """A started command.

    Attributes:
        pid: The command's own pid, which is also the id of its session and process group.
        started: Its start time in clock ticks since boot.
        parent: Its parent process.
    """

    pid: int
    started: int
    parent: trio.Process
    _reports: int
    _returncode: int | None = field(default=None, init=False)

    @property
    def returncode(self) -> int | None:
        """Its exit status, or minus the number of the signal that killed it; None while it runs."""
        if self._returncode is None and self._reports >= 0:
            with suppress(BlockingIOError):
                report = os.read(self._reports, 4096)
                self._returncode = json.loads(report)["exit"] if report else None
                if not report:
                    self._close_reports()
        if self._returncode is None and self._reports < 0 and live_start_ticks(self.pid) != self.started:
            self._returncode = UNKNOWN_STATUS
        return self._returncode

    async def wait(self) -> int:
        """Wait until the command ends, and return `returncode`; its descendants may still run."""
        next_look = trio.current_time()
        while (status := self.returncode) is None:
            with suppress(trio.BusyResourceError):  # another task waits for the report already
                if self._reports >= 0:
                    await trio.lowlevel.wait_readable(self._reports)
                    continue
            next_look += _LOOK_INTERVAL_S
            await trio.sleep_until(next_look)
        return status

    async def close(self) -> None:
        """Wait for the parent process, which ends with the last descendant of the command."""
        await self.parent.wait()
        status = self.returncode  # the last report, before the pipe is closed
        self._close_reports()
        self._returncode = UNKNOWN_STATUS if status is None else status

    def _close_reports(self) -> None:
        if self._reports >= 0:
            os.close(self._reports)
            self._reports = -1


async def supervise(
    argv: Sequence[str],
    env: Mapping[str, str],
    ctx: StackContext,
    *,
    name: str,
    output_fd: int,
    cpus: Sequence[int] = (),
    folder: Path | None = None,
) -> Supervised:
    """Start a program below a parent of its own; both are registered with the guard.

    Args:
        argv: The program's path and its arguments.
        env: Its whole environment.
        ctx: Provides the run's id and the guard.
        name: The command's name in the run, and that of its control group.
        output_fd: Receives what it writes to stdout and stderr.
        cpus: Processors to pin it to, empty for any.
        folder: Where the program starts; None for the runner's own working directory.

    Raises:
        OSError: The program cannot be executed.
        EnvironmentLacks: The parent process does not start.
    """
    places = {"output": output_fd, "group": create_group(ctx.run_id, name), "folder": folder}
    request = {"argv": argv, "env": dict(env), "cpus": list(cpus)} | places
    reports, write_end = os.pipe()
    try:
        with trio.CancelScope(shield=True):
            parent = await _start_parent(request, write_end, ctx)
            started = await _first_report(reports, parent, ctx)
    except BaseException:
        os.close(reports)
        raise
    ctx.guard.process(started["pid"])
    return Supervised(started["pid"], started["started"], parent, reports)


async def _start_parent(request: dict[str, Any], write_end: int, ctx: StackContext) -> trio.Process:
    try:
        parent = await trio.lowlevel.open_process(
            [sys.executable, "-I", "-S", supervisor_process.__file__],
            stdin=subprocess.PIPE,
            stdout=write_end,
            stderr=subprocess.DEVNULL,
            pass_fds=[request["output"]],
            env={**os.environ, COOKIE: ctx.run_id},
            start_new_session=True,
        )
    finally:
        os.close(write_end)
    ctx.guard.process(parent.pid)
    assert parent.stdin is not None
    async with parent.stdin:
        with suppress(trio.BrokenResourceError):  # it ended: there will be no report either
            await parent.stdin.send_all(json.dumps(request, default=str).encode())
    return parent


async def _first_report(reports: int, parent: trio.Process, ctx: StackContext) -> dict[str, int]:
    """Return the command's pid and start time; raise the error that kept it from starting."""
    os.set_blocking(reports, False)
    line = b""
    with trio.move_on_after(_STARTS_WITHIN_S):
        await trio.lowlevel.wait_readable(reports)
        while not line.endswith(b"\n") and (byte := os.read(reports, 1)):
            line += byte  # not more: a command that ends at once has sent its second report too
    if not line:
        raise EnvironmentLacks(
            f"the parent process of the app does not start ({sys.executable} {supervisor_process.__file__})",
            hint="check that this machine has free memory and may start more processes (ulimit -u)",
        )
    report: dict[str, int] = json.loads(line)
    if "errno" in report:
        await parent.wait()
        ctx.guard.forget(parent.pid)
        raise OSError(report["errno"], os.strerror(report["errno"]))
    return report
