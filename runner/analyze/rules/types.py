"""What a rule says: a finding with its evidence, or by which number its limit is ruled out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Stage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that speaks for a finding.

    Attributes:
        name: What was measured.
        value: In `unit`; of a counter, how much it rose in the window.
        unit: Such as ``cores`` or ``%``.
        threshold: From where on it counts; None when there is no such bound.
        source: Where the threshold comes from.
        before: Of a counter: at the window's start.
        after: At its end.
    """

    name: str
    value: float
    unit: str
    threshold: float | None = None
    source: str = ""
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement with its evidence and what to do about it.

    Attributes:
        code: What limits the stage, as DESIGN names it.
        confidence: ``proven``, ``likely`` or ``hint``.
        summary: A sentence without a capital and a full stop.
        evidence: At least one number.
        advice: What to try, likewise.
    """

    code: str
    confidence: str
    summary: str
    evidence: tuple[Evidence, ...]
    advice: str


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A limit that was looked for and is not it.

    Attributes:
        code: Of the limit.
        why: The number that rules it out, as a part of a sentence.
    """

    code: str
    why: str


Judgement: TypeAlias = Finding | RuledOut | None
"""None: nothing was measured that could tell."""

Rule: TypeAlias = Callable[[Stage, int | None], Judgement]
"""From a stage as in results.json, believed and short of its target, and the host's cores."""
