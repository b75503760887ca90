"""Runs a helper program to its end and keeps its last output."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from runner.core.units import Seconds
from runner.stack.command import end_group
from runner.stack.output import OutputTail
from runner.stack.protocols import Guard

_LAST_LINES: Final = 20
_GRACE_S: Final[Seconds] = 3.0
_MAX_S: Final[Seconds] = 3600.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    code: int
    last_lines: tuple[str, ...]


async def run_command(command: Sequence[str], *, guard: Guard, cwd: Path | None = None) -> Finished:
    """Run a program in a process group of its own, for an hour at most; cancellation ends the whole group."""
    with OutputTail() as output:
        process = await trio.lowlevel.open_process(
            command, stdout=output.write_fd, stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True
        )
        output.close_write_end()
        guard.process(process.pid)
        code: int | None = None
        try:
            with trio.move_on_after(_MAX_S):
                code = await process.wait()
        finally:
            if process.poll() is None:
                await end_group(process, grace_s=_GRACE_S)
            guard.forget(process.pid)
        lines = output.lines(_LAST_LINES)
    if code is None:
        return Finished(-signal.SIGKILL, (*lines, f"it did not finish within {_MAX_S:g} s"))
    return Finished(code, lines)
