"""The verdicts of the page with their evidence: equal ones of several stages are one entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.core.codes import Confidence, Limit, Validity
from runner.core.stage_results import Stage
from runner.report.number_format import listed
from runner.report.page.rows import StageRow
from runner.report.ruled_out import RuledOutLimit, ruled_out

_NAMED = 4
"""Stages that the heading of an entry names."""


@dataclass(frozen=True, slots=True)
class VerdictGroup:
    """Stages with the same verdict, the lowest rate first.

    Attributes:
        name: The verdict's code, with its node.
        tone: As of `StageRow`.
        where: The stages, the first few by name.
        stages: Each stage with what it is called.
    """

    name: str
    confidence: str
    validity: str
    tone: str
    where: str
    stages: tuple[tuple[str, Stage], ...]

    @property
    def summary(self) -> str:
        """How sure the verdict is, where, and whether that may be believed; a doubt is said before it."""
        if self.validity == Validity.VALID:
            return f"{self.confidence} · {self.where}"
        if self.name == Limit.WITHIN_CAPACITY or self.confidence == Confidence.HINT:
            return f"{self.where} · {self.validity}"
        return f"{self.where} · {self.validity}; {self.confidence} if the measurements are right"


def verdict_groups(rows: Sequence[StageRow], *, several: bool) -> list[VerdictGroup]:
    """Return the stages that need an explanation, grouped by verdict and validity."""
    groups: dict[tuple[str, str, str], list[StageRow]] = {}
    for row in rows:
        if not row.unlimited:
            key = (row.limit, row.stage.verdict.confidence.value, row.stage.validity.status.value)
            groups.setdefault(key, []).append(row)
    return [_group(key, of, several=several) for key, of in groups.items()]


def _group(key: tuple[str, str, str], rows: Sequence[StageRow], *, several: bool) -> VerdictGroup:
    name, confidence, validity = key
    places = [row.place(several=several) for row in rows]
    more = len(places) - _NAMED
    where = listed([*places[:_NAMED], *([f"{more} more"] if more > 0 else [])])
    stages = tuple(zip(places, (row.stage for row in rows), strict=True))
    return VerdictGroup(name, confidence, validity, rows[0].tone, where, stages)


def limits_ruled_out(rows: Sequence[StageRow], *, several: bool) -> list[RuledOutLimit]:
    """Return the limits that stages ruled out, each once."""
    return ruled_out((row.place(several=several), row.stage) for row in rows)
