"""The finding for a stage in which the generator could not send its schedule: what kept it from that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from runner.analyze.machines import Machine, machines
from runner.analyze.rules.parts import host_is_full, largest_consumer, used_by
from runner.core.codes import Confidence, Limit, Role
from runner.core.findings import Evidence, Finding
from runner.core.stage_results import Stage

_SUMMARY: Final = (
    "the load generator could not send its schedule, so the stage says nothing about the service"
)
_NO_FILES: Final = (
    "raise the limit of open files (ulimit -n) where the generator runs, then run the stage again"
)
_STOOD_STILL: Final = (
    "find out what kept the generator from running (a CPU quota of its control group, a suspended or "
    "migrated machine, a stopped process), then run the stage again"
)
_NODES_SHOWN: Final = 3
_MORE: Final = "give the generator more cores, workers, ports or files, then run the stage again"


def generator_unable(stage: Stage, cores: int | None) -> Finding:
    """Return the finding, with the figures of its cause and advice for it.

    Args:
        stage: Invalid because of the generator.
        cores: Of the runner's own machine; None if unknown.
    """
    full = full_machines(machines(stage, cores))
    used = (item for it in full[:_NODES_SHOWN] for item in _processors(it))
    evidence = (*_not_sent(stage), *used, *_generator(stage))
    return Finding(Limit.GENERATOR, Confidence.PROVEN, _SUMMARY, evidence, advice_for(stage, full))


def full_machines(known: Sequence[Machine]) -> list[Machine]:
    """Return the machines with a generator that had no processor left, the busiest first."""
    with_generator = (it for it in known if used_by(it.stage, Role.GENERATOR) is not None)
    return [it for it in with_generator if host_is_full(it.stage, it.cores)]


def _not_sent(stage: Stage) -> Iterator[Evidence]:
    yield from stood_still(stage)
    if stage.drops and stage.drops.too_late:
        yield Evidence("never sent in time", stage.drops.too_late, "requests")
    if no_file := stage.requests.failures.get("no_fd"):
        yield Evidence("no free file descriptor", no_file, "requests")


def stood_still(stage: Stage) -> Iterator[Evidence]:
    """Yield for how long the generator did not run, and on which of several nodes."""
    if stage.longest_stall_s:
        where = f" on {stage.longest_stall_on}" if stage.longest_stall_on else ""
        yield Evidence(f"longest time in which the generator{where} did not run", stage.longest_stall_s, "s")


def _processors(full: Machine) -> Iterator[Evidence]:
    """Yield how much CPU a full machine used, and who used most of it."""
    used, largest = used_by(full.stage, Role.SYSTEM), largest_consumer(full.stage)
    where = full.name or "the host"
    if used is not None:
        yield Evidence(f"CPU of {where}", used, "cores")
    if largest.role != Role.GENERATOR:
        yield Evidence(f"CPU of {largest.name} on {where}", largest.cores, "cores")


def _generator(stage: Stage) -> Iterator[Evidence]:
    usage = stage.cpu_cores.get(Role.GENERATOR)
    if usage:
        yield Evidence("generator CPU", usage.avg, "cores")


def advice_for(stage: Stage, full: Sequence[Machine]) -> str:
    """Return what to do so that the generator can send its schedule.

    Args:
        stage: Invalid because of the generator.
        full: Machines of generators that had no processor left.
    """
    if stage.requests.failures.get("no_fd"):
        return _NO_FILES
    takers = {it.name: largest_consumer(it.stage) for it in full}
    others = {name: taker for name, taker in takers.items() if taker.role != Role.GENERATOR}
    if others:
        taken = dict.fromkeys("other programs" if it.is_stranger else it.name for it in others.values())
        return (
            f"{_named(taken)} left no CPU: free {_named(others) or 'this host'} of them or send load from "
            "elsewhere, then run the stage again"
        )
    return _STOOD_STILL if stage.longest_stall_s and not full else _MORE


def _named(names: Iterable[str]) -> str:
    """Return the first few names, and how many others there are."""
    known = [*filter(None, names)]
    more = len(known) - _NODES_SHOWN
    return " and ".join([*known[:_NODES_SHOWN], *([f"{more} more"] if more > 0 else [])])
