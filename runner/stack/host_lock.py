"""Allows one experiment at a time on a host: two at once would disturb each other's measurements.

The kernel releases the lock when its holder ends, so a killed run never blocks the next.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks

LOCK: Final = Path("/tmp/loadproof.lock")  # noqa: S108  (one place for all users of the host)

_BUSY: Final = (errno.EAGAIN, errno.EACCES)
_FIRST_BYTES: Final = b'{"pid": '
_HINT: Final = "remove it if it is not Loadproof's, or run with --no-lock"


@contextmanager
def host_lock(command: str, *, path: Path = LOCK) -> Iterator[None]:
    """Reserve this machine for one experiment.

    Args:
        command: The command that holds the lock, shown, without the values of ``--set``, to others that
            want it.
        path: The lock file.

    Raises:
        EnvironmentLacks: Another experiment is running, or the file cannot be used.
    """
    try:
        lock = _open(path)
    except OSError as error:
        raise EnvironmentLacks(
            f"the lock {path} cannot be used: {_reason(error)}", hint=_hint(error)
        ) from error
    try:
        _refuse_others_file(lock, path)
        _acquire(lock)
        _write_holder(lock, command, path)
        yield
        with suppress(OSError):
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _open(path: Path) -> int:
    """Open the lock without following a link, waiting for the other end of a FIFO, or truncating anything."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        lock = os.open(path, flags | os.O_CREAT, 0o666)
    with suppress(PermissionError):  # another user created it first and owns it
        os.fchmod(lock, 0o666)  # whatever the umask: other users must be able to lock it
    return lock


def _refuse_others_file(lock: int, path: Path) -> None:
    """Refuse whatever Loadproof did not create, because the holder's name is written into the lock.

    Raises:
        EnvironmentLacks: It is no regular file, has another name too, or has another content.
    """
    status = os.fstat(lock)
    if not stat.S_ISREG(status.st_mode):
        problem = "it is not a regular file"
    elif status.st_nlink > 1:
        problem = "it is a hard link to another file"
    elif status.st_size and not os.pread(lock, len(_FIRST_BYTES), 0).startswith(_FIRST_BYTES):
        problem = "its content is not Loadproof's"
    else:
        return
    raise EnvironmentLacks(f"the lock {path} cannot be used: {problem}", hint=_HINT)


def _reason(error: OSError) -> str:
    return "it is a symbolic link" if error.errno == errno.ELOOP else str(error.strerror)


def _hint(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return f"make room in {LOCK.parent}, or run with --no-lock"
    return _HINT


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


def _write_holder(lock: int, command: str, path: Path) -> None:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "command": without_values(command), "since": now}
    content = json.dumps(holder).encode()
    try:
        os.ftruncate(lock, 0)
        written = os.pwrite(lock, content, 0)
    except OSError as error:
        raise EnvironmentLacks(
            f"the lock {path} cannot be written: {error.strerror}", hint=_hint(error)
        ) from error
    if written < len(content):
        os.ftruncate(lock, 0)  # the disk became full: the lock holds without its holder's name


def without_values(command: str) -> str:
    """Return a command line with ``...`` in place of the values of its ``--set`` options."""
    try:
        words = shlex.split(command)
    except ValueError:
        return " ".join(command.split()[:2])
    for index, word in enumerate(words):
        if word.startswith("--set="):
            words[index] = _without_value(word, "--set=")
        elif index and words[index - 1] == "--set":
            words[index] = _without_value(word, "")
    return shlex.join(words)


def _without_value(word: str, prefix: str) -> str:
    path, separator, _ = word.removeprefix(prefix).partition("=")
    return f"{prefix}{path}{separator}..." if separator else f"{prefix}..."


def _holder(lock: int) -> str:
    """Return text such as ``: runner execute a.yaml (pid 12, since 2026-01-01T10:00:00+01:00)``."""
    try:
        holder = json.loads(os.pread(lock, 4096, 0))
        return f": {holder['command']} (pid {holder['pid']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
