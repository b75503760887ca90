"""Why stages are suspect or invalid, short enough for a report's first lines; the rest has the details."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from runner.analyze.programs import disturbance, strangers
from runner.core.codes import StageStatus, Validity
from runner.core.node_results import NodeResults
from runner.core.observed_results import ProgramUsage
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.number_format import listed

_OTHER_PROGRAMS: Final = "programs outside the experiment used the processors"
_WORST_FIRST: Final = (Validity.INVALID, Validity.SUSPECT, Validity.VALID)
_NAMED: Final = 2
"""Reasons of each stage that a headline names."""


class Reason(NamedTuple):
    """Why a stage may not be believed.

    Attributes:
        text: Without a full stop; of other programs, which are many and change, only that there were some.
        disturbed: Whether it is these.
    """

    status: Validity
    text: str
    disturbed: bool = False


def short_reasons(stage: Stage) -> Iterator[Reason]:
    """Yield why a stage may not be believed; nothing for one that is valid or was not run."""
    validity = stage.validity
    if stage.status is StageStatus.NOT_RUN or validity.status is Validity.VALID:
        return
    own = validity.reasons[:-1] if validity.disturbed else validity.reasons
    yield from (Reason(validity.status, reason) for reason in own)
    if validity.disturbed:
        yield Reason(validity.status, _disturbed(stage), disturbed=True)


def worst_validity(stages: Iterable[Stage]) -> Validity | None:
    """Return the worst validity of all stages that were run; None without any."""
    statuses = {stage.validity.status for stage in stages if stage.status is not StageStatus.NOT_RUN}
    return next((status for status in _WORST_FIRST if status in statuses), None)


def first_doubts(stages: Iterable[Stage], cores: int | None) -> str:
    """Return in a sentence why some stages may not be believed, without a full stop; empty if they may.

    Args:
        stages: One can be in it twice.
        cores: Of the machine, if all ran on one.
    """
    where: dict[Reason, list[Stage]] = {}
    for stage in {id(stage): stage for stage in stages}.values():
        for reason in islice(short_reasons(stage), _NAMED):
            where.setdefault(reason, []).append(stage)
    return "; ".join(_sentence(reason, doubtful, cores) for reason, doubtful in where.items())


def whole_reasons(stages: Iterable[Stage]) -> list[str]:
    """Return what `first_doubts` leaves out: which programs used the processors of each stage."""
    return [
        f"{stage.title}: {reason}"
        for stage in {id(stage): stage for stage in stages}.values()
        if any(short.disturbed for short in short_reasons(stage))
        for reason in stage.validity.reasons[-1:]  # none in results that were edited
    ]


def _sentence(reason: Reason, stages: list[Stage], cores: int | None) -> str:
    verb = "is" if len(stages) == 1 else "are"
    used = [number_format.cores(sum(program.cores for program in strangers(stage))) for stage in stages]
    is_local = reason.disturbed and cores and not any(stage.nodes for stage in stages)
    amount = f" ({listed(used)} of {cores:,} cores)" if is_local else ""
    return f"{listed([stage.title for stage in stages])} {verb} {reason.status}: {reason.text}{amount}"


def _disturbed(stage: Stage) -> str:
    """Return that other programs used the processors; of several nodes, which ones and by what program."""
    if not stage.nodes:
        return _OTHER_PROGRAMS
    busy = [node for node in stage.nodes if node.cores and disturbance(node, node.cores, node.name)]
    named = [f"{node.name}{f' ({first.name})' if (first := _busiest(node)) else ''}" for node in busy]
    return f"{_OTHER_PROGRAMS} of {listed(named)}" if named else _OTHER_PROGRAMS


def _busiest(node: NodeResults) -> ProgramUsage | None:
    """Return the busiest program of a node that has a name and nothing to do with the experiment."""
    return next(iter(strangers(node)), None)
