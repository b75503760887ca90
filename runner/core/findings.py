"""Limits that were found, and limits that were looked for and do not apply."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from runner.core.codes import Confidence, Limit
from runner.core.result_values import Number, Sentence, Text, Unit, Word


class Evidence(Struct, frozen=True):
    """A number that supports a finding.

    Attributes:
        value: In `unit`; of a counter, how much it rose in the window.
        threshold: From where on it counts; None without such a bound.
        before: Of a counter, its value at the window's start.
    """

    name: Text
    value: Number
    unit: Unit
    threshold: Number | None = None
    source: Text | None = ""
    before: Number | None = None
    after: Number | None = None


class Finding(Struct, frozen=True):
    """A limit that was found, with advice; summary and advice have no capital and no full stop.

    Attributes:
        service: The service that is the limit, whose connections are, or that requests waited for; of a
            program outside the experiment that serves the app, the program's name. Absent elsewhere.
        node: On several machines: the node that the limit is on; absent where it is on none in particular.
    """

    code: Limit
    confidence: Confidence
    summary: Sentence
    evidence: tuple[Evidence, ...]
    advice: Sentence
    service: Word | UnsetType = UNSET
    node: Text | UnsetType = UNSET


class RuledOut(Struct, frozen=True):
    """A limit that was looked for and does not apply, with the number that says so."""

    code: Limit
    why: Sentence
