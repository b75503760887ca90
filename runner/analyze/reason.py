"""One reason why a stage may not be believed: a sentence for people, and a code for rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runner.core.codes import DoubtCode, Validity
from runner.core.judgements import Doubt, StageValidity


class Reason(NamedTuple):
    """One reason why a stage may not be believed.

    Attributes:
        code: Which one.
        text: A sentence without a full stop.
        about: What the sentence names other than figures.
    """

    code: DoubtCode
    text: str
    about: tuple[str, ...] = ()


def judged(status: Validity, reasons: Sequence[Reason]) -> StageValidity:
    """Return the validity of a stage that has these reasons for doubt."""
    return StageValidity(
        status,
        tuple(reason.text for reason in reasons),
        disturbed=any(reason.code is DoubtCode.DISTURBED for reason in reasons),
        doubts=tuple(Doubt(reason.code, reason.about) for reason in reasons),
    )
