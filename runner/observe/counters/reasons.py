"""Why a counter could not be read, as a clause for the report."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import trio

from runner.observe.bounds import BoundExceeded, PageUnreadable
from runner.observe.roots import proc

_UNKNOWN: Final = "its format is unknown"
_REASONS: Final = (
    (PermissionError, "not permitted"),
    (ProcessLookupError, "its process has ended"),
    (FileNotFoundError, "this kernel or host does not have it"),
    (trio.TooSlowError, "its page did not respond in time"),
)


def reason_of(error: Exception) -> str:
    """Return why a source could not be read; a clause of this program, never text from outside."""
    if isinstance(error, BoundExceeded | PageUnreadable):
        return str(error)
    if isinstance(error, FileNotFoundError) and _has_ended(Path(str(error.filename))):
        return "its process has ended"
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), None)
    if reason is None and isinstance(error, OSError):
        reason = error.strerror
    return reason or _UNKNOWN


def _has_ended(missing: Path) -> bool:
    """Return whether a file under /proc is missing because its process has ended."""
    if not missing.is_relative_to(proc()):
        return False
    pid, *_ = (*missing.relative_to(proc()).parts, "")
    return pid.isdecimal() and not Path(proc(), pid).exists()
