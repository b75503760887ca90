"""Files that requests send: sought from the specification's folder on, and read once when a run starts."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.store.bounded_read import NotReadable, read_bounded

MAX_FILE: Final[Bytes] = 64 * BYTES_PER_MIB

NO_KEYS: Final[Mapping[str, str]] = MappingProxyType({})
"""Of files that requests send."""
_KERNEL: Final = ("/proc", "/sys")
"""Their files are generated when they are read, and some wait for ever."""


def problem_with(path: str, folder: Path, *, most: Bytes = MAX_FILE, least: Bytes = 0) -> str:
    """Return why a file cannot be used, without a full stop; empty if it can.

    Args:
        path: As in the specification.
        folder: The specification's.
        most: Its largest size.
        least: Its smallest size.
    """
    if problem := place_problem(path, folder):
        return problem
    size = resolved(path, folder).stat().st_size
    if size > most:
        largest = f"{most // BYTES_PER_MIB} MiB" if most == MAX_FILE else f"{most:,} bytes: it has {size:,}"
        return f"{path} is larger than {largest}"
    return f"{path} is empty" if size < least else ""


def place_problem(path: str, folder: Path) -> str:
    """Return why a path does not lead to a file, without a full stop; empty if it does.

    Args:
        path: As in the specification.
        folder: The specification's, where relative paths start.
    """
    try:
        found = resolved(path, folder)
        kind = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no file {path}{_where(path, folder)}"
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
    except ValueError:
        return f"{path} is no path of a file"
    if not stat.S_ISREG(kind) or any(found.is_relative_to(kernel) for kernel in _KERNEL):
        return f"{path} is not a regular file"
    return ""


def is_outside(path: str, folder: Path) -> bool:
    """Return whether a path, followed through symbolic links, leads out of the specification's folder.

    True of what is no path at all.
    """
    try:
        return not resolved(path, folder).is_relative_to(folder.resolve())
    except ValueError:
        return True


def resolved(path: str, folder: Path) -> Path:
    """Return the absolute path without symbolic links; unlike `Path.resolve`, it accepts a loop of links."""
    return Path(os.path.realpath(folder / path))


def _where(path: str, folder: Path) -> str:
    if not is_outside(path, folder):
        return " in the specification's folder"
    return "" if Path(path).is_absolute() else f" (sought as {resolved(path, folder)})"


def read_files(paths: Iterable[str], folder: Path, keys: Mapping[str, str] = NO_KEYS) -> dict[str, bytes]:
    """Return the content of each file.

    Args:
        paths: As in the specification.
        folder: The specification's.
        keys: Path to the key of the specification that names it, of files that no request sends.

    Raises:
        EnvironmentLacks: One cannot be read.
    """
    return {path: _read(path, folder, keys.get(path, "")) for path in dict.fromkeys(paths)}


def file_digest(path: str, folder: Path) -> str:
    """Return the SHA-256 of a file of any size.

    Raises:
        EnvironmentLacks: It cannot be read.
    """
    if problem := place_problem(path, folder):
        raise EnvironmentLacks(problem, hint=f"the specification needs it; it is sought in {folder}")
    try:
        fd = os.open(resolved(path, folder), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with open(fd, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EnvironmentLacks(f"cannot read {path}: {error.strerror}") from None


def _read(path: str, folder: Path, key: str) -> bytes:
    needed = f"{key} names it" if key else "a request of the specification sends it"
    try:
        if problem := problem_with(path, folder):
            raise EnvironmentLacks(problem, hint=f"{needed}; it is sought in {folder}")
        what = f"the file of {key}" if key else "a file that a request sends"
        return read_bounded(resolved(path, folder), MAX_FILE, what)
    except (NotReadable, OSError) as error:
        raise EnvironmentLacks(str(error), hint=needed) from None
