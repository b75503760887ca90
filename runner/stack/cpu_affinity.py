"""Keeps what was started on some processors, so that generator and app need not fight on a small host."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from runner.core.errors import EnvironmentLacks


def check_cpus(cpus: Collection[int]) -> None:
    """See that every processor is there.

    Raises:
        EnvironmentLacks: This run may not use one of them.
    """
    usable = os.sched_getaffinity(0)
    missing = sorted(set(cpus) - usable)
    if missing:
        raise EnvironmentLacks(
            f"topology.cpus asks for processor {missing[0]}, which this run may not use",
            hint=f"it may use {', '.join(map(str, sorted(usable)))}",
        )


def pin(pid: int, cpus: Sequence[int]) -> None:
    """Keep a process that has just been started, and all it will start, on some processors.

    The mask is inherited. Threads that were quicker than this are found in a second look.
    """
    wanted = set(cpus)
    with suppress(ProcessLookupError, FileNotFoundError):
        os.sched_setaffinity(pid, wanted)
        for task in Path(f"/proc/{pid}/task").iterdir():
            if os.sched_getaffinity(int(task.name)) != wanted:
                os.sched_setaffinity(int(task.name), wanted)


def spelled(cpus: Sequence[int]) -> str:
    """As kernel and Docker write it: ``0,2``."""
    return ",".join(map(str, sorted(cpus)))
