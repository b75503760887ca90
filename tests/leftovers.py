"""What tests leave running: threads, processes, and containers of the Docker Engine.

A process that a finished test left can use a processor until the end of the session, and then tests that
measure CPU fail which have nothing to do with it.
"""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.preloaded.client import server_pids

MARK = "LOADPROOF_TESTS"
"""The environment variable that every process started by this session inherits, orphans included."""
_POOLED = "Trio thread"
"""Trio keeps threads for 10 s after their last work."""
_WITHIN_S = 15


def mark_session() -> None:
    """Mark every process that this one starts from now on."""
    os.environ[MARK] = str(os.getpid())


@contextlib.contextmanager
def nothing_left(*, containers: bool) -> Iterator[None]:
    """Check that what the block started has ended soon after it; `containers` of the engine too."""

    def running() -> set[str]:
        return threads() | processes() | (of_engine() if containers else set())

    before = running()
    yield
    deadline = time.monotonic() + _WITHIN_S
    while (left := running() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"started by these tests and still there {_WITHIN_S} s after the last: {sorted(left)}"


def threads() -> set[str]:
    """Return the threads of this process."""
    return {
        f"thread {thread.name} ({thread.native_id})"
        for thread in threading.enumerate()
        if not thread.name.startswith(_POOLED)
    }


def processes() -> set[str]:
    """Return the processes that this session started, directly or not."""
    return {f"process {pid} ({_command(pid)})" for pid in _own_pids()}


def _own_pids() -> set[int]:
    mark = f"{MARK}={os.getpid()}".encode()
    own = {child.pid for child in psutil.Process().children(recursive=True)}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                own.add(int(folder.name))
    return {pid for pid in own - server_pids() if _command(pid)}


def _command(pid: int) -> str:
    """Return the beginning of a process's command line, empty for one that has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
    return ""


def of_engine() -> set[str]:
    """Return the containers and networks of runs, except those that live processes of others own."""
    own = {os.getpid(), *_own_pids()}
    left = set()
    for kind, name, command in (
        ("container", ".Names", ["ps", "--all"]),
        ("network", ".Name", ["network", "ls"]),
    ):
        form = f'{{{{.Label "loadproof.owner-pid"}}}} {{{{{name}}}}}'
        listed = subprocess.run(
            ["docker", *command, "--filter", "label=loadproof.run", "--format", form],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        for owner, _, named in (line.partition(" ") for line in listed.stdout.splitlines()):
            if not owner.isdecimal() or int(owner) in own or not Path(f"/proc/{owner}").exists():
                left.add(f"{kind} {named}")
    return left
