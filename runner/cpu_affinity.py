"""Processors that the generator and the app are bound to, so that they do not compete on a small host."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from runner.core.errors import EnvironmentLacks


def check_cpus(cpus: Collection[int], key: str) -> None:
    """Check that this run may use every one of these processors.

    Args:
        cpus: Their numbers.
        key: The key of the specification that contains them.

    Raises:
        EnvironmentLacks: It may not use one of them.
    """
    usable = os.sched_getaffinity(0)
    missing = sorted(set(cpus) - usable)
    if missing:
        raise EnvironmentLacks(
            f"{key} names processor {missing[0]}, which this run may not use",
            hint=f"it may use {', '.join(map(str, sorted(usable)))}",
        )


def cpu_list(cpus: Sequence[int]) -> str:
    """Return processors in the notation of the kernel and Docker: ``0,2``."""
    return ",".join(map(str, sorted(cpus)))
