"""Runs a helper program to its end and keeps its last output."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

import trio

from runner.core.units import Seconds
from runner.stack.command import end_group
from runner.stack.protocols import Guard

_LAST_LINES: Final = 20
_GRACE_S: Final[Seconds] = 3.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended."""

    code: int
    last_lines: tuple[str, ...]


async def run_command(command: Sequence[str], *, guard: Guard, cwd: Path | None = None) -> Finished:
    """Run a program in a process group of its own; cancellation ends the whole group."""
    with TemporaryFile() as output:
        process = await trio.lowlevel.open_process(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True
        )
        guard.process(process.pid)
        try:
            code = await process.wait()
        finally:
            if process.poll() is None:
                await end_group(process, grace_s=_GRACE_S)
            guard.forget(process.pid)
        output.seek(0)
        lines = output.read().decode(errors="replace").splitlines()
    return Finished(code, tuple(lines[-_LAST_LINES:]))
