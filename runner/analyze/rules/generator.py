"""The finding for a stage in which the generator could not send its schedule: what kept it from that."""

from __future__ import annotations

from collections.abc import Iterator
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
    "find out what kept the generator from running (a suspended or migrated machine, a stopped process), "
    "then run the stage again"
)
_MORE: Final = "give the generator more cores, workers, ports or files, then run the stage again"


def generator_unable(stage: Stage, cores: int | None) -> Finding:
    """Return the finding, with the figures of its cause and advice for it.

    Args:
        stage: Invalid because of the generator.
        cores: Of the runner's own machine; None if unknown.
    """
    full = _full_machine(stage, cores)
    evidence = (*_not_sent(stage), *(_processors(full) if full else ()), *_generator(stage))
    return Finding(Limit.GENERATOR, Confidence.PROVEN, _SUMMARY, evidence, _advice(stage, full))


def _full_machine(stage: Stage, cores: int | None) -> Machine | None:
    """Return the busiest machine with a generator that had no processor left."""
    known = (it for it in machines(stage, cores) if used_by(it.stage, Role.GENERATOR) is not None)
    return next((it for it in known if host_is_full(it.stage, it.cores)), None)


def _not_sent(stage: Stage) -> Iterator[Evidence]:
    if stage.longest_stall_s:
        yield Evidence("generator did not run for", stage.longest_stall_s, "s")
    if stage.drops and stage.drops.too_late:
        yield Evidence("never sent in time", stage.drops.too_late, "requests")
    if no_file := stage.requests.failures.get("no_fd"):
        yield Evidence("no free file descriptor", no_file, "requests")


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


def _advice(stage: Stage, full: Machine | None) -> str:
    if stage.requests.failures.get("no_fd"):
        return _NO_FILES
    if full and (largest := largest_consumer(full.stage)).role != Role.GENERATOR:
        what = "other programs" if largest.is_stranger else largest.name
        place = full.name or "this host"
        return (
            f"{what} left no CPU: free {place} of them or send load from elsewhere, then run the stage again"
        )
    return _STOOD_STILL if stage.longest_stall_s and not full else _MORE
