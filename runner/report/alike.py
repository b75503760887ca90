"""Stages of a comparison that were left out or are suspect for the same reason, as one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.codes import DoubtCode
from runner.core.comparison import LeftOut
from runner.core.judgements import Doubt
from runner.report.markdown_text import EMPTY, Markdown, listed, markdown
from runner.report.number_format import plural
from runner.report.stage_place import place

_NAMED: Final = 4
_OF_THE_FIRST: Final = markdown(" The figures are those of the first.")


@dataclass(frozen=True, slots=True)
class AlikeStages:
    """Stages whose reasons are the same, but for their figures.

    Attributes:
        places: The stages with their repeats, sides and runs, the first few by name.
        why: The reason of the first one, without a full stop.
        remark: That the figures are those of the first; empty where all reasons are equal.
    """

    places: Markdown
    why: str
    remark: Markdown
    several: bool


def alike(stages: Sequence[LeftOut]) -> Iterator[AlikeStages]:
    """Yield the stages grouped by their reasons, in the order of the first of each group."""
    groups: dict[tuple[Doubt, ...] | str, list[LeftOut]] = {}
    for stage in stages:
        groups.setdefault(tuple(map(without_programs, stage.doubts)) or stage.why, []).append(stage)
    for group in groups.values():
        places = [_which(one) for one in group[:_NAMED]]
        if (more := len(group) - _NAMED) > 0:
            places.append(markdown("{}", plural(more, "more stage")))
        remark = EMPTY if len({one.why for one in group}) == 1 else _OF_THE_FIRST
        yield AlikeStages(listed(places), group[0].why, remark, len(group) > 1)


def without_programs(doubt: Doubt) -> Doubt:
    """Return a doubt; one about programs on this host without their names, which change all the time."""
    is_of_this_host = doubt.code is DoubtCode.DISTURBED and doubt.about[:1] == ("",)
    return Doubt(doubt.code) if is_of_this_host else doubt


def _which(one: LeftOut) -> Markdown:
    """Return a stage with its repeat, its side and its run."""
    repeat = f", repeat {one.repeat}" if one.repeat else ""
    run = f", run {one.run}" if one.run else ""
    return markdown("{}{} ({}{})", place(one), repeat, one.side, run)
