"""Why stages are suspect or invalid: one sentence for each stage, shared by those with the same reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, NamedTuple, TypeAlias

from runner.analyze.programs import disturbance, strangers
from runner.analyze.reason import text_of
from runner.core.codes import DoubtCode, StageStatus, Validity
from runner.core.judgements import Doubt, StageValidity
from runner.core.node_results import NodeResults
from runner.core.observed_results import ProgramUsage
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.alike import without_programs
from runner.report.number_format import listed, plural

_OTHER_PROGRAMS: Final = "programs outside the experiment used the processors"
_WORST_FIRST: Final = (Validity.INVALID, Validity.SUSPECT, Validity.VALID)
_PLACES_NAMED: Final = 4
_REASONS_NAMED: Final = 2
"""Reasons of each stage that a headline names."""

NamedStage: TypeAlias = tuple[str, Stage]
"""A stage after what it is called: its title, and its configuration where there are several."""


class Reason(NamedTuple):
    """Why a stage may not be believed.

    Attributes:
        text: Without a full stop; of other programs, which are many and change, only that there were some.
        key: Equal for reasons that differ in nothing but their figures.
        disturbed: Whether it is these programs.
    """

    text: str
    key: Doubt | str
    disturbed: bool = False


@dataclass(frozen=True, slots=True)
class DoubtfulStages:
    """Stages that may not be believed for the same reasons, but for their figures.

    Attributes:
        status: Suspect or invalid.
        places: What they are called.
        stages: In the same order.
        reasons: Of the first one, without full stops.
        remark: Whose figures these are, as a sentence without a full stop; empty where all are equal.
    """

    status: Validity
    places: tuple[str, ...]
    stages: tuple[Stage, ...]
    reasons: tuple[Reason, ...]
    remark: str

    @property
    def subject(self) -> str:
        """Which results are how doubtful: ``The results for 100 RPS and 1,000 RPS are suspect``."""
        more = len(self.places) - _PLACES_NAMED
        others = [plural(more, "more stage")] if more > 0 else []
        return f"The results for {listed([*self.places[:_PLACES_NAMED], *others])} are {self.status}"

    def sentence(self, cores: int | None = None) -> str:
        """Return the stages with their most important reasons, without a full stop.

        Args:
            cores: Of the machine, if all ran on one; then with how many of them other programs used.
        """
        named = [f"{reason.text}{self._amount(reason, cores)}" for reason in self.reasons[:_REASONS_NAMED]]
        if (more := len(self.reasons) - _REASONS_NAMED) > 0:
            named.append(plural(more, "more reason"))
        text = f"{self.subject}: {'; '.join(named)}"
        return f"{text}. {self.remark}" if self.remark else text

    def _amount(self, reason: Reason, cores: int | None) -> str:
        if not (reason.disturbed and cores) or any(stage.nodes for stage in self.stages):
            return ""
        used = [sum(program.cores for program in strangers(stage)) for stage in self.stages]
        return f" ({listed([number_format.cores(amount) for amount in used])} of {cores:,} cores)"


def doubtful(stages: Iterable[NamedStage], *, brief: bool = False) -> list[DoubtfulStages]:
    """Return the stages that may not be believed, grouped by their reasons, in the order of the first ones.

    Args:
        stages: One can be in it twice.
        brief: Leave out which programs outside the experiment used the processors, and do not tell stages
            apart by them.
    """
    groups: dict[tuple[Validity, tuple[Doubt | str, ...]], list[NamedStage]] = {}
    for place, stage in {id(pair[1]): pair for pair in stages}.values():
        if reasons := _reasons(stage, brief=brief):
            key = (stage.validity.status, tuple(reason.key for reason in reasons))
            groups.setdefault(key, []).append((place, stage))
    return [_group(status, of_group, brief=brief) for (status, _), of_group in groups.items()]


def _group(status: Validity, group: Sequence[NamedStage], *, brief: bool) -> DoubtfulStages:
    places, stages = zip(*group, strict=True)
    known = [_reasons(stage, brief=brief) for stage in stages]
    figures_differ = len({tuple(reason.text for reason in reasons) for reasons in known}) > 1
    remark = f"The figures are those of {places[0]}" if figures_differ else ""
    return DoubtfulStages(status, tuple(places), tuple(stages), tuple(known[0]), remark)


def short_reasons(stage: Stage) -> list[str]:
    """Return why a stage may not be believed, without full stops; nothing for one that is valid."""
    return [reason.text for reason in _reasons(stage, brief=True)]


def _reasons(stage: Stage, *, brief: bool) -> list[Reason]:
    validity = stage.validity
    if stage.status is StageStatus.NOT_RUN or validity.status is Validity.VALID:
        return []
    programs = text_of(validity, DoubtCode.DISTURBED)
    return [
        _disturbed(stage)
        if brief and text == programs
        else Reason(text, without_programs(doubt) if doubt else text)
        for text, doubt in _with_doubts(validity)
    ]


def _with_doubts(validity: StageValidity) -> Iterator[tuple[str, Doubt | None]]:
    """Yield each reason with its code; without one where the results were edited, or are of 0.1.0."""
    known = validity.doubts if len(validity.doubts) == len(validity.reasons) else ()
    yield from zip_longest(validity.reasons, known)


def worst_validity(stages: Iterable[Stage]) -> Validity | None:
    """Return the worst validity of all stages that were run; None without any."""
    statuses = {stage.validity.status for stage in stages if stage.status is not StageStatus.NOT_RUN}
    return next((status for status in _WORST_FIRST if status in statuses), None)


def first_doubts(stages: Iterable[NamedStage], cores: int | None) -> str:
    """Return why some stages may not be believed, without the last full stop; empty if they may.

    Args:
        stages: As for `doubtful`.
        cores: Of the machine, if all ran on one.
    """
    return ". ".join(group.sentence(cores) for group in doubtful(stages, brief=True))


def whole_reasons(stages: Iterable[NamedStage]) -> list[str]:
    """Return what `first_doubts` leaves out: which programs used the processors of each stage."""
    return [
        f"{place}: {programs}"
        for place, stage in {id(pair[1]): pair for pair in stages}.values()
        if stage.status is not StageStatus.NOT_RUN
        and (programs := text_of(stage.validity, DoubtCode.DISTURBED))
    ]


def _disturbed(stage: Stage) -> Reason:
    """Return that other programs used the processors; of several nodes, which ones and by what program."""
    busy = [node for node in stage.nodes if node.cores and disturbance(node, node.cores, node.name)]
    named = [f"{node.name}{f' ({first.name})' if (first := _busiest(node)) else ''}" for node in busy]
    text = f"{_OTHER_PROGRAMS} of {listed(named)}" if named else _OTHER_PROGRAMS
    return Reason(text, text, disturbed=True)


def _busiest(node: NodeResults) -> ProgramUsage | None:
    """Return the busiest program of a node that has a name and nothing to do with the experiment."""
    return next(iter(strangers(node)), None)
