"""Programs on this host that are not part of the experiment: which are strangers, and which serve the app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.codes import Role
from runner.core.node_results import NodeResults
from runner.core.observed_facts import KERNEL_THREADS
from runner.core.observed_results import ProgramUsage
from runner.core.stage_results import Stage
from runner.core.units import percent

DISTURBED: Final = 0.1
"""Share of the host's cores from which programs outside the experiment disturb it."""
DISTURBED_FULL: Final = 0.03
"""The same where they used more than was left idle; less changes no result by more than this share."""
FULL_THREAD: Final = 0.85
"""Share of one core from which a thread was busy all the time; our own bound."""
_FULL: Final = 0.95
"""Share of a machine's cores from which none is left (netdata's critical alarm)."""
_UNSEEN: Final = 0.3
"""Share of a full machine's cores from which what has no name disturbs: well above the kernel's work on
packets, which has no name either; our own bound."""
_PIDS_SHOWN: Final = 3
_PROGRAMS_NAMED: Final = 3


def strangers(machine: Stage | NodeResults) -> list[ProgramUsage]:
    """Return the programs of a machine that have nothing to do with the experiment, the busiest first.

    The kernel's own threads also work for the system under test, for example on its packets.
    """
    return [program for program in machine.programs if not program.serves and program.name != KERNEL_THREADS]


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


def disturbance(stage: Stage | NodeResults, cores: int | None, node: str = "") -> str:
    """Return how much CPU programs outside the experiment took from it, as a sentence; empty if little.

    Args:
        stage: With the CPU used by the host and by programs.
        cores: Of the host; None where unknown.
        node: Name of the machine, if it is a node.
    """
    outside = strangers(stage)
    if cores and (unseen := _unseen_on_full_machine(stage, cores)):
        named = f"{_use(outside)} used {sum(it.cores for it in outside):.2f}, and " if outside else ""
        who = "no agent can" if node else "the runner could not"
        whole = f"{node or 'this host'} had no CPU left: of its {cores} cores, {named}programs that {who}"
        return f"{whole} see used {unseen:.2f}"
    used = sum(program.cores for program in outside)
    if not cores or used < DISTURBED_FULL * cores:
        return ""
    system = stage.cpu_cores.get(Role.SYSTEM)
    idle = None if system is None else max(0.0, cores - system.avg)
    if used >= DISTURBED * cores:
        bound = f"from {percent(DISTURBED)} they may change its results"
    elif idle is not None and used > idle:
        bound = f"only {idle:.2f} cores were idle"
    else:
        return ""
    return f"{_use(outside)} used {used:.2f} of the {cores} cores of {node or 'this host'}; {bound}"


def _unseen_on_full_machine(stage: Stage | NodeResults, cores: int) -> float:
    """Return the cores that programs without a name used on a machine that had none left; 0 if few.

    An agent, or a runner in a container, sees the CPU of the whole machine, but no program outside; neither
    sees programs that live for less than the time between two samples.
    """
    used = {role: usage.avg for role, usage in stage.cpu_cores.items() if usage}
    unseen = used.get(Role.OTHER, 0.0) - sum(program.cores for program in stage.programs)
    is_full = used.get(Role.SYSTEM, 0.0) >= _FULL * cores
    return unseen if is_full and unseen >= _UNSEEN * cores else 0.0


def _use(outside: Sequence[ProgramUsage]) -> str:
    """Return the busiest programs with their cores, and how many more there are."""
    named = [f"{name_of(program)} {program.cores:.2f}" for program in outside[:_PROGRAMS_NAMED]]
    more = len(outside) - len(named)
    return f"programs outside the experiment ({', '.join(named)}{f' and {more} more' if more else ''})"
