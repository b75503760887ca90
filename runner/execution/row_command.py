"""Runs the command of a variable, whose output lines are rows, before anything else starts."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from runner.core.errors import EnvironmentLacks
from runner.core.masking import margin, mask_bytes
from runner.core.signals import signal_name
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.stack.protocols import Guard
from runner.stack.reaper import COOKIE

TIMEOUT_S: Final[Seconds] = 60.0
MAX_OUTPUT: Final[Bytes] = 256 * BYTES_PER_MIB
_CHUNK: Final[Bytes] = BYTES_PER_MIB
_TAIL: Final[Bytes] = 4096
_TAIL_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class Guarded:
    """What ends a command with all that it started when the runner is killed.

    Attributes:
        run_id: Of the run, which finds processes by it.
        guard: Told of the process.
    """

    run_id: str
    guard: Guard


def _start(
    subject: str, command: Sequence[str], folder: Path, guarded: Guarded | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, COOKIE: guarded.run_id} if guarded else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        hint = f"a relative path starts in {folder}"
        raise EnvironmentLacks(f"{subject} cannot be started: {reason}", hint=hint) from None


def command_output(
    name: str,
    command: Sequence[str],
    folder: Path,
    guarded: Guarded | None = None,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Return what a command prints, as the descriptor of a file in memory. Blocks.

    Args:
        name: Of the variable, in messages.
        command: Program and arguments, run without a shell.
        folder: Where it starts.
        guarded: Ends it when the runner is killed; None to leave it running then.
        secrets: Name to value of what is masked in the error's details.

    Raises:
        EnvironmentLacks: It cannot be started, fails, prints nothing or too much, or does not end in time.
    """
    subject = f"load.variables.{name}: the command `{shlex.join(command)}`"
    process = _start(subject, command, folder, guarded)
    if guarded:
        guarded.guard.process(process.pid)
    output = os.memfd_create("loadproof-output", os.MFD_CLOEXEC)
    try:
        with open(output, "wb", closefd=False) as file:
            reading = _Reading(process, file, secrets)
            problem = reading.until_end()
    finally:
        _kill_group(process)
        if guarded:
            guarded.guard.forget(process.pid)
    if problem or reading.size == 0:
        os.close(output)
        raise EnvironmentLacks(
            f"{subject} {problem or 'printed nothing'}",
            hint="its last lines on stderr are above" if reading.tail else "it printed nothing on stderr",
            details=reading.tail,
        )
    return output


class _Reading:
    """Takes what a process prints, within bounds."""

    def __init__(
        self, process: subprocess.Popen[bytes], output: BinaryIO, secrets: Mapping[str, str]
    ) -> None:
        self.size = 0
        self._secrets = secrets
        self._process = process
        self._output = output
        self._errors = b""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines on stderr, with secrets masked."""
        masked = mask_bytes(self._errors, self._secrets, keep=_TAIL)
        return tuple(masked.decode(errors="replace").splitlines()[-_TAIL_LINES:])

    def until_end(self) -> str:
        """Read until the process has ended; returns what was wrong, empty if nothing was."""
        deadline = time.monotonic() + TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            for stream in (self._process.stdout, self._process.stderr):
                if stream:
                    selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    return f"did not end within {TIMEOUT_S:.0f} s"
                for key, _ in ready:
                    if not self._take(key.fd, is_output=key.fileobj is self._process.stdout):
                        selector.unregister(key.fileobj)
                if self.size > MAX_OUTPUT:
                    return f"printed more than {MAX_OUTPUT // BYTES_PER_MIB} MiB"
        return self._status(deadline)

    def _take(self, fd: int, *, is_output: bool) -> bool:
        """Take what is there; returns False at the end."""
        chunk = os.read(fd, _CHUNK)
        if is_output:
            self._output.write(chunk)
            self.size += len(chunk)
        else:
            self._errors = (self._errors + chunk)[-_TAIL - margin(self._secrets) :]
        return bool(chunk)

    def _status(self, deadline: float) -> str:
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"did not end within {TIMEOUT_S:.0f} s"
        if status < 0:
            return f"was killed by {signal_name(-status)}"
        return f"ended with exit status {status}" if status else ""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it has started, which may still write."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
