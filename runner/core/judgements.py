"""How a stage was judged: its thresholds, its validity, and what it says in a search."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from runner.core.codes import DoubtCode, Mask, Unbounded, Validity
from runner.core.result_values import Count, Number, PartName, Sentence, Text


class ThresholdResult(Struct, frozen=True):
    """A threshold on a stage: failed where nothing was measured; its value is in the metric's unit.

    Attributes:
        value: None where nothing was measured, and where the metric has no finite value.
            Of a ramp and a metric that each slice has: in the first slice that fails, else the worst.
        unbounded: Why it has none; absent otherwise.
        request: The request of a mix, the scenario or the step that it is about, as in `Stage.parts`; absent
            for the whole stage.
        level: Of a ramp: the average level of the first slice that fails; absent where none does.
        bound: In the metric's unit, of a threshold that each slice of a ramp has to pass; absent otherwise.
        why: Why it fails whatever was measured, such as an app that was killed; absent otherwise.
    """

    expr: Text
    ok: bool
    value: Number | None
    unbounded: Unbounded | UnsetType = UNSET
    request: PartName | UnsetType = UNSET
    level: Number | UnsetType = UNSET
    bound: Number | UnsetType = UNSET
    why: Sentence | UnsetType = UNSET


class Doubt(Struct, frozen=True, omit_defaults=True):
    """What a reason says without its figures: two reasons with equal doubts differ in figures only.

    Attributes:
        about: What the reason names, such as a node or programs.
    """

    code: DoubtCode
    about: tuple[Text, ...] = ()


class StageValidity(Struct, frozen=True, omit_defaults=True):
    """Whether the stage may be believed, and why not, in sentences without a full stop.

    Attributes:
        disturbed: Whether programs outside the experiment used so much CPU that they are one of the reasons.
        doubts: One for each reason; absent for a median, and in results of earlier versions.
    """

    status: Validity
    reasons: tuple[Sentence, ...]
    disturbed: bool = False
    doubts: tuple[Doubt, ...] = ()


class Probe(Struct, frozen=True, omit_defaults=True):
    """Of a stage that a search ran: what it says about its rate.

    Attributes:
        probe: Counts from 1.
        holds: Whether all conditions passed; None where the probe could not be judged, or was disturbed by
            other programs and repeated.
        why: Why they did not; empty when they did.
        decides: Whether the result of the search rests on this probe; None until the search is over.
        mask: Why its failure says nothing about the service; absent where it does, and where it did not fail.
    """

    stage: Text
    probe: Count
    holds: bool | None
    why: Sentence
    conditions: tuple[ThresholdResult, ...]
    decides: bool | None = None
    mask: Mask | UnsetType = UNSET
