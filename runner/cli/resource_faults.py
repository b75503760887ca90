"""What a process may run out of anywhere: memory, open files, processes, disk, its own folder."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks

_MIN_FILES: Final = 64
"""Even an experiment with one worker and one small service has about 40 files open."""

_FILES: Final = (
    "this process may not have more files open",
    f"allow more: `ulimit -n {16 * _MIN_FILES}`",
)
_MEMORY: Final = (
    "there is not enough memory",
    "free some memory, or raise the limits `ulimit -v` and `ulimit -d`",
)
_PROCESSES: Final = (
    "no more processes or threads can be started",
    "end some processes, or raise `ulimit -u`",
)
_SPACE: Final = ("no space is left on a disk", "free some space, or set TMPDIR to a folder on another disk")

_BY_ERRNO: Final[Mapping[int | None, tuple[str, str]]] = {
    errno.EMFILE: _FILES,
    errno.ENFILE: ("this machine has too many open files", "end some processes, or raise fs.file-max"),
    errno.ENOMEM: _MEMORY,
    errno.EAGAIN: _PROCESSES,
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: ("a file is larger than this process may write", "raise the limit `ulimit -f`"),
    errno.EROFS: ("a file system is read-only", "set TMPDIR to a folder that is writable"),
}


_OF_A_PATH: Final[Mapping[int | None, tuple[str, str]]] = {
    errno.ENAMETOOLONG: ("a path is longer than the file system allows", "give a shorter one"),
    errno.EACCES: ("permission denied", "choose another path, or run as a user who may use this one"),
    errno.ELOOP: ("a path leads in a circle of links", "correct the links"),
    errno.EIO: ("a disk cannot be read or written", "check the disk, or choose a path on another one"),
}


def path_fault(error: BaseException) -> EnvironmentLacks | None:
    """Return what is wrong with the path of a file if that is what an exception is about, else None."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.filename and (fault := _OF_A_PATH.get(error.errno)):
        message, hint = fault
        return EnvironmentLacks(f"{message}: {os.fsdecode(error.filename)}", hint=hint)
    return None


def resource_fault(error: BaseException) -> EnvironmentLacks | None:
    """Return what this machine or its limits lack if that is the cause of an exception, else None."""
    if not _has_current_folder():
        return EnvironmentLacks(
            "the current directory has been deleted", hint="change to one that exists: `cd`"
        )
    for cause in _causes(error):
        if reason := _reason(cause):
            message, hint = reason
            where = f": {cause.filename}" if isinstance(cause, OSError) and cause.filename else ""
            return EnvironmentLacks(f"{message}{where}", hint=hint)
    return None


def check_limits() -> None:
    """Check that the limits of this process allow an experiment at all.

    Raises:
        EnvironmentLacks: They do not.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= files < _MIN_FILES:
        raise EnvironmentLacks(
            f"this process may have {files} files open, an experiment needs {_MIN_FILES}", hint=_FILES[1]
        )


def _has_current_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _reason(error: BaseException) -> tuple[str, str] | None:
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, FileNotFoundError) and not Path("/proc/self").exists():
        return "the folder /proc is empty", "mount it: `mount -t proc proc /proc`"
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno)
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return _PROCESSES  # Python has no other sign of it
    if isinstance(error, ImportError):
        return _limit_of_imports()
    return None


def _limit_of_imports() -> tuple[str, str] | None:
    """Return why the dynamic linker did not load a library: its own error has no number."""
    if 0 <= resource.getrlimit(resource.RLIMIT_NOFILE)[0] < _MIN_FILES:
        return _FILES
    return _MEMORY if resource.getrlimit(resource.RLIMIT_AS)[0] >= 0 else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, those in its groups, and what led to them."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current, BaseExceptionGroup):
            pending.extend(current.exceptions)
        pending.extend(cause for cause in (current.__cause__, current.__context__) if cause)
