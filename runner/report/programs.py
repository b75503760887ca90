"""What a report says about programs on this host that are not part of the experiment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from runner.analyze.programs import has_full_thread, name_of, services, strangers
from runner.core.observed_results import ProgramUsage
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, block, join, markdown, table

SHOWN_CORES: Final = 0.1
"""Cores from which a terminal names other programs."""
_NAMED: Final = 3


def programs_outside(stages: Sequence[Stage]) -> Markdown:
    """Return the cores that each program outside the experiment used in each stage; empty without any."""
    names: dict[tuple[str, bool], ProgramUsage] = {}
    for program in (program for stage in stages for program in stage.programs):
        names.setdefault((program.name, program.serves), program)
    rows = [
        [_title(program), *(_cell(stage, program) for stage in stages)]
        for program in sorted(names.values(), key=lambda program: -_most(stages, program))
    ]
    return table(["Program", *(stage.title for stage in stages)], rows) if rows else EMPTY


def _title(program: ProgramUsage) -> str:
    return f"{name_of(program)}, which served the app" if program.serves else name_of(program)


def offers(stages: Sequence[Stage]) -> list[Markdown]:
    """Return how to observe the programs that served the app."""
    offered = {(program.name, program.port): program for stage in stages for program in services(stage)}
    return [
        join("\n\n", [markdown("{}:", _offer(program)), block(_watch(program))])
        for program in offered.values()
    ]


def terminal_lines(configurations: Sequence[ConfigurationResults]) -> Iterator[str]:
    """Yield a line about other programs that used much CPU, and one for each that served the app."""
    stages = [stage for configuration in configurations for stage in configuration.stages]
    busiest: dict[str, ProgramUsage] = {}
    for program in (program for stage in stages for program in strangers(stage)):
        known = busiest.get(program.name)
        if program.cores >= SHOWN_CORES and (known is None or program.cores > known.cores):
            busiest[program.name] = program
    if busiest:
        ranked = sorted(busiest.values(), key=lambda program: -program.cores)
        named = [f"{name_of(program)} {_use(program)}" for program in ranked[:_NAMED]]
        named += [f"{len(ranked) - _NAMED} more"] if len(ranked) > _NAMED else []
        yield f"Other programs on this host used up to: {'; '.join(named)}."
    offered = {(program.name, program.port): program for stage in stages for program in services(stage)}
    yield from (f"{_offer(program)}: {' '.join(_flow(program))}" for program in offered.values())


def _offer(program: ProgramUsage) -> str:
    return f"{name_of(program)} served this app's connections; to observe it, add it under topology.watch"


def _watch(program: ProgramUsage) -> list[str]:
    key, value = _found_by(program)
    return ["topology:", "  watch:", f"    {_service_name(program)}: {{{key}: {value}}}"]


def _flow(program: ProgramUsage) -> list[str]:
    key, value = _found_by(program)
    return [f"watch: {{{_service_name(program)}: {{{key}: {value}}}}}"]


def _found_by(program: ProgramUsage) -> tuple[str, str]:
    """Return the key of ``topology.watch`` that finds a program again; a Unix socket has no port."""
    return ("port", str(program.port)) if program.port else ("name", json.dumps(program.name))


def _service_name(program: ProgramUsage) -> str:
    """Return a name for a program that may be used as that of a service."""
    kept = "".join(char if char.isascii() and char.isalnum() else "-" for char in program.name.lower())
    name = kept.strip("-").removesuffix("-server").lstrip("0123456789-")
    return name[:31].rstrip("-") or "service"


def _most(stages: Sequence[Stage], program: ProgramUsage) -> float:
    used = (_same(stage, program) for stage in stages)
    return max((program.cores for program in used if program), default=0.0)


def _same(stage: Stage, program: ProgramUsage) -> ProgramUsage | None:
    key = (program.name, program.serves)
    return next((other for other in stage.programs if (other.name, other.serves) == key), None)


def _cell(stage: Stage, program: ProgramUsage) -> str:
    used = _same(stage, program)
    return _use(used, unit="") if used else number_format.NOT_APPLICABLE


def _use(program: ProgramUsage, unit: str = " cores") -> str:
    full = ", one thread full" if has_full_thread(program) else ""
    return f"{number_format.cores(program.cores)}{unit}{full}"
