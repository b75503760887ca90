"""Programs on this host that are not part of the experiment: which are strangers, and which serve the app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.facts import KERNEL_THREADS
from runner.core.results import ProgramUsage, Stage

FULL_THREAD: Final = 0.85
"""Share of one core from which a thread was busy all the time; our own bound."""
_PIDS_SHOWN: Final = 3


def strangers(stage: Stage) -> list[ProgramUsage]:
    """Return the programs that have nothing to do with the experiment, the busiest first.

    The kernel's own threads also work for the system under test, for example on its packets.
    """
    return [program for program in stage.programs if not program.serves and program.name != KERNEL_THREADS]


def services(stage: Stage) -> list[ProgramUsage]:
    """Return the programs that the app had connections to, and that the experiment does not observe."""
    return [program for program in stage.programs if program.serves]


def name_of(program: ProgramUsage) -> str:
    """Return a program's name with its processes, such as ``redis-server (pid 812)``."""
    if program.name == KERNEL_THREADS:
        return "threads of the kernel"
    return f"{program.name} ({_pids(program.pids)})"


def _pids(pids: Sequence[int]) -> str:
    if len(pids) == 1:
        return f"pid {pids[0]}"
    more = f" and {len(pids) - _PIDS_SHOWN} more" if len(pids) > _PIDS_SHOWN else ""
    return f"pids {', '.join(map(str, pids[:_PIDS_SHOWN]))}{more}"


def has_full_thread(program: ProgramUsage) -> bool:
    """Return whether one thread of a program was busy all the time, so that the program could do no more."""
    return program.busiest_thread is not None and program.busiest_thread >= FULL_THREAD
