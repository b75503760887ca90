"""Allows one experiment at a time on a host: two at once would disturb each other's measurements.

The kernel releases the lock when its holder ends, so a killed run never blocks the next.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks

LOCK: Final = Path("/tmp/loadproof.lock")  # noqa: S108  (one place for all users of the host)

_BUSY: Final = (errno.EAGAIN, errno.EACCES)


@contextmanager
def host_lock(command: str, *, path: Path = LOCK) -> Iterator[None]:
    """Reserve this machine for one experiment.

    Args:
        command: The command that holds the lock, shown to others that want it.
        path: The lock file.

    Raises:
        EnvironmentLacks: Another experiment is running, or the file cannot be used.
    """
    try:
        lock = _open(path)
    except OSError as error:
        raise EnvironmentLacks(
            f"the lock {path} cannot be used: {error.strerror}",
            hint="remove the file if it is not Loadproof's, or run with --no-lock",
        ) from error
    try:
        _acquire(lock)
        _write_holder(lock, command)
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        lock = os.open(path, flags | os.O_CREAT, 0o666)
    with suppress(PermissionError):  # another user created it first and owns it
        os.fchmod(lock, 0o666)  # whatever the umask: other users must be able to lock it
    return lock


def _acquire(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _BUSY:
            raise EnvironmentLacks(
                f"this machine cannot be locked: {error.strerror}", hint="run with --no-lock"
            ) from error
        raise EnvironmentLacks(
            f"another experiment is running on this machine{_holder(lock)}",
            hint="wait until it ends: two at once disturb each other; --no-lock runs anyway",
        ) from error


def _write_holder(lock: int, command: str) -> None:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({"pid": os.getpid(), "command": command, "since": now}).encode(), 0)


def _holder(lock: int) -> str:
    """Return text such as ``: runner execute a.yaml (pid 12, since 2026-01-01T10:00:00+01:00)``."""
    try:
        holder = json.loads(os.pread(lock, 4096, 0))
        return f": {holder['command']} (pid {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
