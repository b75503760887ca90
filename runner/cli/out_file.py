"""Writes the file that ``--out`` names: whole or not at all, or into a pipe as long as it is read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from runner.cli.streams import PATIENCE_MS, ProtectedStream


def write_file(path: Path, data: bytes) -> None:
    """Write a file; into a pipe as long as it has a reader that reads.

    Raises:
        OSError: It cannot be written; an older file is unharmed, and no part of a new one remains.
    """
    target = path.resolve()
    mode = _mode_if_replaceable(path)
    if mode is not None:
        with suppress(PermissionError):  # the folder is read-only, but the file may not be
            _replace(target, data, mode)
            return
    _write_into(path, data, os.O_TRUNC)


def append_to_file(path: Path, data: bytes) -> None:
    """Add to the end of a file.

    Raises:
        OSError: It cannot be written.
    """
    _write_into(path, data, os.O_APPEND)


def _mode_if_replaceable(path: Path) -> int | None:
    """Return the mode that a new file in the place of another one has; None if it cannot take its place.

    That is a pipe, a device or a descriptor such as ``/dev/stdout``, and a file that has other names or
    belongs to another user.
    """
    if path.is_absolute() and path.parts[1:2] in (("dev",), ("proc",)):
        return None
    try:
        state = path.stat()
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask
    alone = stat.S_ISREG(state.st_mode) and state.st_nlink == 1 and state.st_uid == os.geteuid()
    return stat.S_IMODE(state.st_mode) if alone and os.access(path, os.W_OK) else None


def _replace(target: Path, data: bytes, mode: int) -> None:
    import tempfile

    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".loadproof-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(handle, mode)
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _write_into(path: Path, data: bytes, how: int) -> None:
    """Write into what may exist already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK | how
    descriptor = os.open(path, flags, 0o666)
    try:
        stream = ProtectedStream(descriptor)
        stream.patience_ms = PATIENCE_MS
        stream.write(data)
        if stream.failure:
            raise stream.failure
    finally:
        os.close(descriptor)
