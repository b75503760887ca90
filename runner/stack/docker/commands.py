"""Runs a helper program to its end, keeping only what it said last."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Final

import trio

from runner.core.units import Seconds
from runner.stack.protocols import Guard

_LAST_LINES: Final = 20
_GRACE_S: Final[Seconds] = 3.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    code: int
    last_lines: tuple[str, ...]


async def run_command(command: Sequence[str], *, guard: Guard) -> Finished:
    """Run a program in a process group of its own; a cancelled caller ends the whole group."""
    with TemporaryFile() as output:
        process = await trio.lowlevel.open_process(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        guard.process(process.pid)
        try:
            code = await process.wait()
        finally:
            await _end(process)
            guard.forget(process.pid)
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
    return Finished(code, tuple(lines[-_LAST_LINES:]))


async def _end(process: trio.Process) -> None:
    """Let a program that still runs clean up after itself, then leave it no choice."""
    for last_word in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, last_word)
        with trio.move_on_after(_GRACE_S, shield=True):
            await process.wait()
