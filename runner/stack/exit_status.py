"""Exit statuses of processes, in words."""

from __future__ import annotations

from typing import Final

from runner.core.signals import signal_name

UNKNOWN_STATUS: Final = -1000
"""The return code of a command whose parent was killed before it could report one."""


def describe_exit(status: int) -> str:
    """Return the meaning of a process's return code, as the predicate of a sentence."""
    if status == UNKNOWN_STATUS:
        return "ended in an unknown way, because its parent process was killed too"
    if status >= 0:
        return f"exited with status {status}"
    return f"was killed by {signal_name(-status)}"
