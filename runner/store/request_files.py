"""Files that requests send: found only in the specification's folder, and read once when a run starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.store.bounded_read import NotReadable, read_bounded

MAX_FILE: Final[Bytes] = 64 * BYTES_PER_MIB


def problem_with(path: str, folder: Path) -> str:
    """Return why a file cannot be sent, without a full stop; empty if it can.

    Args:
        path: As in the specification.
        folder: The specification's.
    """
    if problem := place_problem(path, folder):
        return problem
    if (folder / path).stat().st_size > MAX_FILE:
        return f"{path} is larger than {MAX_FILE // BYTES_PER_MIB} MiB"
    return ""


def place_problem(path: str, folder: Path) -> str:
    """Return why a path does not lead to a file of the specification's folder; empty if it does."""
    found = (folder / path).resolve()
    if not found.is_relative_to(folder.resolve()):
        return f"{path} leads outside the specification's folder"
    if not found.exists():
        return f"there is no file {path} in the specification's folder"
    if not found.is_file():
        return f"{path} is not a regular file"
    return ""


def read_files(paths: Iterable[str], folder: Path) -> dict[str, bytes]:
    """Return the content of each file.

    Args:
        paths: As in the specification.
        folder: The specification's.

    Raises:
        EnvironmentLacks: One cannot be read.
    """
    return {path: _read(path, folder) for path in dict.fromkeys(paths)}


def file_digest(path: str, folder: Path) -> str:
    """Return the SHA-256 of a file of any size.

    Raises:
        EnvironmentLacks: It cannot be read.
    """
    if problem := place_problem(path, folder):
        raise EnvironmentLacks(problem, hint=f"the specification needs it; it is sought in {folder}")
    try:
        with (folder / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EnvironmentLacks(f"cannot read {path}: {error.strerror}") from None


def _read(path: str, folder: Path) -> bytes:
    try:
        if problem := problem_with(path, folder):
            raise EnvironmentLacks(
                problem, hint=f"a request of the specification sends it; it is sought in {folder}"
            )
        return read_bounded((folder / path).resolve(), MAX_FILE, "a file that a request sends")
    except (NotReadable, OSError) as error:
        raise EnvironmentLacks(str(error), hint="a request of the specification sends this file") from None
