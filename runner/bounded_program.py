"""Runs short programs of the machine, such as ``git status``: their output and their time are bounded."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from runner.core.units import BYTES_PER_MIB, Bytes, Seconds

MAX_OUTPUT: Final[Bytes] = 32 * BYTES_PER_MIB

_CHUNK: Final[Bytes] = 65_536


class Finished(NamedTuple):
    """How a program ended: its exit status, or minus a signal's number, and what it printed."""

    status: int
    stdout: bytes
    stderr: bytes


class DidNotFinish(Exception):  # noqa: N818  (reads as the sentence it is)
    """A program was ended because it took too long or printed too much; the message says which."""


def run_bounded(
    words: Sequence[str],
    *,
    within_s: Seconds,
    max_output: Bytes = MAX_OUTPUT,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program without input, and end its process group afterwards.

    Args:
        words: The program and its arguments.
        within_s: How long it may take, > 0.
        max_output: How many bytes it may print on stdout and stderr together.
        cwd: Where it starts.
        env: Its environment; None for this process's.

    Raises:
        OSError: It cannot be started.
        DidNotFinish: It exceeded a bound.
    """
    with _started(words, cwd, env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            until_s = time.monotonic() + within_s
            stdout, stderr = _read([process.stdout, process.stderr], until_s, max_output)
            if len(stdout) + len(stderr) > max_output:
                raise DidNotFinish(f"it printed more than {max_output / BYTES_PER_MIB:g} MiB")
            status = process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise DidNotFinish(f"it did not finish within {within_s:g} s") from None
    if time.monotonic() > until_s:  # a child of the program kept its output open
        raise DidNotFinish(f"it did not finish within {within_s:g} s")
    return Finished(status, bytes(stdout), bytes(stderr))


@contextmanager
def _started(
    words: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a process group of its own, which ends with the block."""
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def _read(pipes: Sequence[IO[bytes]], until_s: Seconds, max_output: Bytes) -> list[bytearray]:
    """Return what the pipes deliver until all are closed, or a bound is exceeded."""
    outputs = [bytearray() for _ in pipes]
    with selectors.DefaultSelector() as selector:
        for pipe, output in zip(pipes, outputs, strict=True):
            selector.register(pipe, selectors.EVENT_READ, output)
        while selector.get_map() and (left_s := until_s - time.monotonic()) > 0:
            for key, _ in selector.select(left_s):
                if chunk := os.read(key.fd, _CHUNK):
                    key.data.extend(chunk)
                else:
                    selector.unregister(key.fileobj)
            if sum(map(len, outputs)) > max_output:
                break
    return outputs
