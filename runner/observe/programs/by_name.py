"""Adds up the processes of each program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from runner.core.observed_facts import Program
from runner.core.units import Cores, Seconds
from runner.observe.programs.busiest_thread import BusiestThreads
from runner.observe.programs.process_table import ProcessTable, ProcessUsage, identity_of

MIN_CORES: Final[Cores] = 0.02
MAX_PROGRAMS: Final = 10
_MAX_PIDS: Final = 16


def programs(table: ProcessTable, threads: BusiestThreads, ports: Mapping[int, int]) -> tuple[Program, ...]:
    """Return the programs that used CPU, the busiest first; those that serve the app in any case.

    Two programs of one name are two entries if only one of them serves the app.

    Args:
        table: All processes.
        threads: How busy their threads were.
        ports: Process to the port at which it serves the app.
    """
    length_s = table.length_s
    if length_s <= 0:
        return ()
    usages = table.usages()
    serving = [(pid, *identity, port) for pid, port in ports.items() if (identity := identity_of(pid))]
    idle = (ProcessUsage(pid, name, family, 0.0) for pid, name, family, _ in serving)
    families = {family: port for _, _, family, port in serving}
    groups: dict[tuple[str, int | None], list[ProcessUsage]] = {}
    for usage in (*usages, *idle):
        if usage.is_started_by_runner and usage.family not in families:
            continue  # it may serve the app, as a database that a hook started does, but is no stranger
        groups.setdefault((usage.name, families.get(usage.family)), []).append(usage)
    made = [_program(group, threads, length_s, port) for (_, port), group in groups.items()]
    shown = sorted((program for program in made if program.serves), key=_cores)
    shown += sorted((p for p in made if not p.serves and p.cores >= MIN_CORES), key=_cores)
    return tuple(sorted(shown[:MAX_PROGRAMS], key=_cores))


def _cores(program: Program) -> Cores:
    return -program.cores


def _program(
    group: Sequence[ProcessUsage], threads: BusiestThreads, length_s: Seconds, port: int | None
) -> Program:
    return Program(
        name=group[0].name,
        pids=tuple(dict.fromkeys(usage.pid for usage in group))[:_MAX_PIDS],
        cores=round(sum(usage.used_s for usage in group) / length_s, 4),
        busiest_thread=_busiest(group, threads, length_s),
        serves=port is not None,
        port=port,
    )


def _busiest(group: Iterable[ProcessUsage], threads: BusiestThreads, length_s: Seconds) -> Cores | None:
    shares = ((usage.used_s / length_s, threads.share(usage.pid)) for usage in group)
    known = [min(1.0, cores * share) for cores, share in shares if share is not None]
    return round(max(known), 4) if known else None
