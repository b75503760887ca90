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
from runner.report.nodes import RUNNERS_MACHINE

SHOWN_CORES: Final = 0.1
"""Cores from which a terminal names other programs."""
_NAMED: Final = 3
_MOST_ROWS: Final = 20
"""Programs of several machines that a table shows; there are ten of each machine in results.json."""


def programs_outside(stages: Sequence[Stage]) -> Markdown:
    """Return the cores that each program outside the experiment used in each stage; empty without any."""
    names: dict[tuple[str, str, bool], ProgramUsage] = {}
    for node, program in (found for stage in stages for found in _programs(stage)):
        names.setdefault((node, program.name, program.serves), program)
    found = [(node, program) for (node, *_), program in names.items()]
    ranked = sorted(found, key=lambda it: -_most(stages, *it))
    own = RUNNERS_MACHINE if any(stage.nodes for stage in stages) else ""
    rows = [
        [f"{_title(program)}{_on(node or own)}", *(_cell(stage, node, program) for stage in stages)]
        for node, program in (ranked[:_MOST_ROWS] if any(node for node, _ in ranked) else ranked)
    ]
    return table(["Program", *(stage.title for stage in stages)], rows) if rows else EMPTY


def _programs(stage: Stage) -> Iterator[tuple[str, ProgramUsage]]:
    """Yield the node of each program, empty for the runner's own machine, and the program."""
    yield from (("", program) for program in stage.programs)
    yield from ((node.name, program) for node in stage.nodes for program in node.programs)


def _strangers(stage: Stage) -> Iterator[tuple[str, ProgramUsage]]:
    """Yield the same of the programs that have nothing to do with the experiment."""
    yield from (("", program) for program in strangers(stage))
    yield from ((node.name, program) for node in stage.nodes for program in strangers(node))


def _on(node: str) -> str:
    return f" on {node}" if node else ""


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
    busiest: dict[tuple[str, str], ProgramUsage] = {}
    for node, program in (found for stage in stages for found in _strangers(stage)):
        known = busiest.get((node, program.name))
        if program.cores >= SHOWN_CORES and (known is None or program.cores > known.cores):
            busiest[node, program.name] = program
    if busiest:
        ranked = sorted(busiest.items(), key=lambda item: -item[1].cores)
        own = RUNNERS_MACHINE if any(stage.nodes for stage in stages) else ""
        named = [
            f"{name_of(program)}{_on(node or own)} {_use(program)}" for (node, _), program in ranked[:_NAMED]
        ]
        named += [f"{len(ranked) - _NAMED} more"] if len(ranked) > _NAMED else []
        where = "" if own else " on this host"
        yield f"Other programs{where} used up to: {'; '.join(named)}."
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


def _most(stages: Sequence[Stage], node: str, program: ProgramUsage) -> float:
    used = (_same(stage, node, program) for stage in stages)
    return max((program.cores for program in used if program), default=0.0)


def _same(stage: Stage, node: str, program: ProgramUsage) -> ProgramUsage | None:
    key = (node, program.name, program.serves)
    same = (other for where, other in _programs(stage) if (where, other.name, other.serves) == key)
    return next(same, None)


def _cell(stage: Stage, node: str, program: ProgramUsage) -> str:
    used = _same(stage, node, program)
    return _use(used, unit="") if used else number_format.NOT_APPLICABLE


def _use(program: ProgramUsage, unit: str = " cores") -> str:
    full = ", one thread full" if has_full_thread(program) else ""
    return f"{number_format.cores(program.cores)}{unit}{full}"
