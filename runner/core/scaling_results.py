"""What several configurations show together: how capacity grows with replicas."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from runner.core.codes import Limit, RateUnit
from runner.core.result_values import Count, Number, Sentence, Text, Word


class ScalingPoint(Struct, frozen=True):
    """A capacity with its bounds and its number of replicas.

    Attributes:
        source: ``search`` or ``overload``.
        fitted_rps: What the law says; None without a law.
    """

    configuration: Text
    replicas: Count
    rps: Number
    low_rps: Number
    high_rps: Number
    source: Word
    limited_by: Limit | None
    fitted_rps: Number | None


Interval: TypeAlias = tuple[Number | None, Number | None]
"""Both ends of a 95 % interval; None for no bound."""


class ScalingLaw(Struct, frozen=True):
    """The Universal Scalability Law as fitted.

    Attributes:
        rps_of_one: Capacity of one replica.
        contention: σ.
        contention_95: Its interval; None where the points determine the law exactly.
        coherency: κ.
        peak_replicas: Where the capacity is highest; None without a peak.
        ceiling_rps: The highest capacity; None without a bound.
    """

    rps_of_one: Number
    contention: Number
    contention_95: Interval | None
    coherency: Number
    coherency_95: Interval | None
    peak_replicas: Number | None
    peak_95: Interval | None
    ceiling_rps: Number | None


class Scaling(Struct, frozen=True, omit_defaults=True):
    """Configurations that differ in their number of replicas alone.

    Attributes:
        configurations: Their names, fewest replicas first.
        without: Configurations whose limit was not found.
        law: None where the points are too few.
        unit: What all its rates count; requests per second where it is absent.
    """

    configurations: tuple[Text, ...]
    points: tuple[ScalingPoint, ...]
    without: tuple[Text, ...]
    law: ScalingLaw | None
    method: Text
    sentence: Sentence
    unit: RateUnit = RateUnit.REQUESTS
