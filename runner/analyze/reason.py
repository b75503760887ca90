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


def text_of(validity: StageValidity, code: DoubtCode) -> str:
    """Return the reason with this code, without a full stop; empty if a stage has none.

    Results of Loadproof 0.1.0 have no codes, only that the last reason is about other programs.
    """
    if len(validity.doubts) == len(validity.reasons):
        pairs = zip(validity.reasons, validity.doubts, strict=True)
        return next((text for text, doubt in pairs if doubt.code is code), "")
    is_last = validity.disturbed and code is DoubtCode.DISTURBED
    return validity.reasons[-1] if is_last and validity.reasons else ""


def judged(status: Validity, reasons: Sequence[Reason]) -> StageValidity:
    """Return the validity of a stage that has these reasons for doubt."""
    return StageValidity(
        status,
        tuple(reason.text for reason in reasons),
        disturbed=any(reason.code is DoubtCode.DISTURBED for reason in reasons),
        doubts=tuple(Doubt(reason.code, reason.about) for reason in reasons),
    )
