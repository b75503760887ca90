"""Whether the rows of a load's variables are enough for its stages (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from runner.core.template import Reference
from runner.experiment.base_model import Conflict
from runner.experiment.find import FindStage
from runner.experiment.stage import Stage
from runner.experiment.variables import ReadRows, places, uses

if TYPE_CHECKING:
    from runner.experiment.traffic import Load
    from runner.experiment.variable import Variable

MORE_ROWS: Final = "add rows, send less, or use order: sequential, which begins again"


def row_conflicts(
    load: Load, stages: Sequence[Stage | FindStage], repeats: int, read_rows: ReadRows | None
) -> Iterator[Conflict]:
    """Yield what is wrong with the rows of variables, each with the way from the load down to it.

    Args:
        load: Of a configuration.
        stages: Likewise.
        repeats: How often all stages are run.
        read_rows: Reads the rows of files; None where files do not matter.
    """
    used = uses(load.parts)
    for name, variable in load.variables.items():
        if variable.row_format is None or name not in used:
            continue
        at = ("variables", name)
        if variable.needs_each_row_once and (reason := _not_countable(load, stages)):
            yield Conflict((*at, "order"), f"cannot be once, because {reason}", "use sequential or random")
            continue
        if read_rows is None or variable.path is None:
            continue
        facts = read_rows(variable, used[name])
        if facts.path:
            for place in places(load.placed_requests, Reference(name, facts.path)):
                yield Conflict(place, facts.problem, facts.hint)
        elif facts.problem:
            yield Conflict((*at, variable.source), facts.problem, facts.hint)
        elif facts.rows is not None and (message := too_few(load, name, stages, repeats, facts.rows)):
            yield Conflict(at, message, MORE_ROWS)


def too_few(load: Load, name: str, stages: Sequence[Stage | FindStage], repeats: int, rows: int) -> str:
    """Return the sentence that a variable with `order: once` has too few rows; empty if it has enough."""
    variable: Variable = load.variables[name]
    if not variable.needs_each_row_once:
        return ""
    from runner.experiment.arrivals import of_stages, rows_used  # noqa: PLC0415  (few specifications need it)

    needed = rows_used(load, name, list(of_stages(load, stages, repeats)))
    if rows >= needed:
        return ""
    most = "up to " if load.arrivals == "poisson" else ""
    source = variable.path or "the output of its command"
    one = "user" if load.scenarios else "request"
    return (
        f"order: once needs a row for each {one}: {source} has {rows:,}, but {most}{needed:,} {one}s "
        f"use {name}, warm-up{' and repeats' if repeats > 1 else ''} included"
    )


def _not_countable(load: Load, stages: Sequence[Stage | FindStage]) -> str:
    """Return why nobody can know before how many requests there will be; empty if it is known."""
    if any(isinstance(stage, FindStage) for stage in stages):
        return "a stage with 'find' decides while it runs how many requests it sends"
    if any(isinstance(stage, Stage) and stage.most_users for stage in stages):
        if load.scenarios:
            return "a new user begins as soon as another one has ended"
        return "users send as many requests as they get responses"
    if load.cross_check:
        return "cross_check sends the same rows with both engines"
    return ""
