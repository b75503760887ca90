"""A k6 process in a session of its own: its output is read, and it is ended within seconds.

It may print without end, ignore SIGTERM or leave children behind; that neither fills a pipe nor blocks the
runner, and no child outlives the run.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from runner.core.units import Bytes, Seconds

TERM_S: Final = 1.0
KILL_S: Final = 2.0
_TAIL_BYTES: Final[Bytes] = 8192
_CHUNK_BYTES: Final[Bytes] = 65536


@dataclass(slots=True)
class K6Process:
    """One process and the end of its output.

    Attributes:
        process: Leader of its own process group.
        output: The last bytes of its stdout and stderr.
    """

    process: trio.Process
    output: bytes = b""

    @property
    def pid(self) -> int:
        """The id of the process and of its group."""
        return self.process.pid

    async def drain(self) -> None:
        """Read until the output is closed."""
        stream = self.process.stdout
        assert stream is not None
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await stream.receive_some(_CHUNK_BYTES):
                self.output = (self.output + data)[-_TAIL_BYTES:]

    def tail(self, lines: int = 10) -> tuple[str, ...]:
        """Return the last lines printed."""
        return tuple(self.output.decode(errors="replace").splitlines()[-lines:])

    async def wait(self) -> int:
        """Wait for the exit code, or minus the signal that ended the process."""
        return await self.process.wait()

    async def stop(self) -> None:
        """End the process and its group; shielded, and takes at most TERM_S + KILL_S."""
        with trio.CancelScope(shield=True):
            await self._signal(signal.SIGTERM, TERM_S)
            await self._signal(signal.SIGKILL, KILL_S)
            if self.process.stdout is not None:
                await self.process.stdout.aclose()

    async def _signal(self, number: signal.Signals, patience_s: Seconds) -> None:
        if self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        with trio.move_on_after(patience_s):
            await self.process.wait()


async def spawn(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> K6Process:
    """Start a command; always stop it with `K6Process.stop`.

    Raises:
        OSError: It cannot be started.
    """
    process = await trio.lowlevel.open_process(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=cwd,
        env=dict(env),
    )
    return K6Process(process)
