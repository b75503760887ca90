"""What several stages show together: repeats, searches for a capacity, and cross-checks."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from runner.core.codes import Limit, Mask, RateUnit, SearchEnding, Validity
from runner.core.judgements import ThresholdResult
from runner.core.result_values import Count, Number, PartName, Sentence, Text, Word
from runner.core.stage_results import Stage


class OutlierResult(Struct, frozen=True):
    """A repeat that stands out."""

    order: Count
    value: Number


class RepeatedMetric(Struct, frozen=True):
    """One metric of all repeats: their median, its 95 % interval, and outliers.

    Attributes:
        low: None below three repeats.
        high: None below three repeats, and where it is not finite because requests failed.
    """

    median: Number
    low: Number | None
    high: Number | None
    outliers: tuple[OutlierResult, ...]


class Repeats(Struct, frozen=True):
    """All repeats of a stage: how many could be used, and the orders of those that could not.

    Attributes:
        metrics: Key of `runner.analyze.key_metrics` to its value.
        thresholds: Judged on the medians; absent without any, and in files of Loadproof before 0.2.0.
    """

    stage: Text
    n: Count
    left_out: tuple[Count, ...]
    metrics: dict[Word, RepeatedMetric]
    thresholds: tuple[ThresholdResult, ...] | UnsetType = UNSET


class ProbeSummary(Struct, frozen=True, omit_defaults=True):
    """A probe of a search in one line; fields as in its stage and in its `find`."""

    rps: Number
    order: Count
    ok: bool | None
    p95_ms: Number | None
    achieved: Number | None
    why: Sentence
    verdict: Limit
    validity: Validity
    mask: Mask | UnsetType = UNSET


class Knee(Struct, frozen=True):
    """Where the latency turns up: the last rate before, and the latency there; None without a knee."""

    rps: Number | None
    p95_ms: Number | None
    method: Text
    sentence: Sentence


class Capacity(Struct, frozen=True, omit_defaults=True):
    """What a search found.

    Attributes:
        precision: How far apart, relatively, the bounds may be in the end.
        rps: The capacity; None where none was found.
        held_rps: The highest rate that passed.
        failed_rps: The lowest that did not.
        limited_by: Verdict of the lowest rate that failed.
        latency: Name of the latency in `probes` and `knee`.
        request: The request of a mix that it was measured of; absent for all.
        unit: What its rates count, those of `probes` and `knee` included: requests per second, which is the
            unit where it is absent, or users who start a scenario per second.
    """

    stage: Text
    repeat: Count
    holds: tuple[Text, ...]
    min_rps: Number
    max_rps: Number
    precision: Number
    ending: SearchEnding
    rps: Number | None
    held_rps: Number | None
    failed_rps: Number | None
    limited_by: Limit | None
    latency: Word
    probes: tuple[ProbeSummary, ...]
    knee: Knee
    sentence: Sentence
    request: PartName | UnsetType = UNSET
    unit: RateUnit = RateUnit.REQUESTS

    @property
    def shown_rps(self) -> float | None:
        """The capacity; where something hid the service above the highest rate that passed, that rate."""
        return self.held_rps if self.ending is SearchEnding.MASKED else self.rps


class Difference(Struct, frozen=True):
    """One metric as two engines measured it.

    Attributes:
        values: Of the stage's own engine and of the other one.
        difference: The second minus the first.
        ratio: The second ÷ the first; None where the first is 0.
    """

    metric: Word
    values: tuple[Number, Number]
    difference: Number
    ratio: Number | None
    same: bool


class CrossCheck(Struct, frozen=True):
    """A stage beside the same stage with the other engine."""

    stage: Text
    repeat: Count
    engines: tuple[Word, Word]
    differences: tuple[Difference, ...]
    agrees: bool
    reasons: tuple[Sentence, ...]
    trial: Stage
