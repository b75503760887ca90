"""What comes of setting runs against each other: comparison, history and reproduction."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from runner.core.codes import Basis, ComparisonVerdict, ReproductionVerdict
from runner.core.units import PerSecond

StageKey: TypeAlias = tuple[str, str]
"""Name of a configuration and name of a stage."""


class SideBySide(Struct, frozen=True):
    """Something in which two sides differ, such as a version, as text."""

    what: str
    base: str
    head: str


class ComparedRun(Struct, frozen=True):
    """One run of a side; fields as in its results."""

    id: str
    started_at: str
    status: str
    spec_sha256: str
    command: str


class LeftOut(Struct, frozen=True):
    """A stage that is not used, or used with doubt.

    Attributes:
        side: ``base``, ``head`` or ``both``.
        configuration: Its configuration.
        stage: Its name.
        why: For people.
    """

    side: str
    configuration: str
    stage: str
    why: str


class ComparedMetric(Struct, frozen=True):
    """One metric of one stage on both sides.

    Attributes:
        name: Key of `runner.analyze.key_metrics`.
        unit: Of `base` and `head`.
        base: Geometric mean of the side (arithmetic mean of a share).
        head: Likewise.
        n: How many stages each side has.
        change: As a share of `base`; of a share, the difference.
        low: Lower end of its interval.
        high: Upper end.
        detectable: The smallest change that these data could have shown.
        basis: Where the noise between runs is taken from.
        verdict: What follows.
    """

    name: str
    unit: str
    base: float
    head: float
    n: tuple[int, int]
    change: float
    low: float
    high: float
    detectable: float
    basis: Basis
    verdict: ComparisonVerdict


class ComparedStage(Struct, frozen=True):
    """One stage on both sides."""

    configuration: str
    stage: str
    metrics: tuple[ComparedMetric, ...]
    verdict: ComparisonVerdict


class Comparison(Struct, frozen=True):
    """Two sets of runs of the same stages.

    Attributes:
        schema_version: Of this structure as JSON.
        margin: Changes up to this share count as none.
        confidence: That all intervals hold together.
        base: Runs of one side.
        head: Runs of the other.
        unlike: What makes the machines too different; compared all the same.
        changed: What else differs.
        only_in_base: Stages that only one side has.
        only_in_head: Likewise.
        left_out: Stages that were not used.
        suspect: Stages that were used with doubt.
        stages: That both sides have.
        verdict: Over all stages.
    """

    schema_version: int
    margin: float
    confidence: float
    base: tuple[ComparedRun, ...]
    head: tuple[ComparedRun, ...]
    unlike: tuple[SideBySide, ...]
    changed: tuple[SideBySide, ...]
    only_in_base: tuple[StageKey, ...]
    only_in_head: tuple[StageKey, ...]
    left_out: tuple[LeftOut, ...]
    suspect: tuple[LeftOut, ...]
    stages: tuple[ComparedStage, ...]
    verdict: ComparisonVerdict


class MetricHistory(Struct, frozen=True):
    """One metric of one stage over runs.

    Attributes:
        name: Key of `runner.analyze.key_metrics`.
        unit: Of the values.
        values: One per run, None where a run has none.
        median: Of all values but the last.
        last: The last value.
        verdict: The last run against all earlier ones; None where it could not be judged.
    """

    name: str
    unit: str
    values: tuple[float | None, ...]
    median: float | None
    last: float | None
    verdict: ComparisonVerdict | None


class StageHistory(Struct, frozen=True):
    """One stage over runs."""

    configuration: str
    stage: str
    metrics: tuple[MetricHistory, ...]


class HistoryRun(Struct, frozen=True):
    """One run of a history; fields as in its results."""

    id: str
    started_at: str
    status: str
    command: str
    spec_sha256: str


class History(Struct, frozen=True):
    """Runs of one experiment in order of time.

    Attributes:
        schema_version: Of this structure as JSON.
        experiment: Its name.
        margin: As of `Comparison`.
        runs: On the machine of the last one.
        unlike: Ids of runs on other machines, which are left out.
        stages: Over those runs.
    """

    schema_version: int
    experiment: str
    margin: float
    runs: tuple[HistoryRun, ...]
    unlike: tuple[str, ...]
    stages: tuple[StageHistory, ...]


class ReproducedRun(Struct, frozen=True):
    """One of the two runs; fields as in its results."""

    id: str
    started_at: str
    status: str


class Deviation(Struct, frozen=True):
    """A metric that came out otherwise."""

    configuration: str
    stage: str
    metric: str
    change: float
    verdict: ComparisonVerdict


class MissingStage(Struct, frozen=True):
    """A stage that the archive measured and the new run did not."""

    configuration: str
    stage: str
    why: str


class SearchBracket(Struct, frozen=True):
    """A search then and now.

    Attributes:
        configuration: Its configuration.
        stage: Its name.
        repeat: Counts from 1.
        then: The highest rate that passed and the lowest that failed.
        now: Likewise.
        verdict: A `ComparisonVerdict`, or that it is not known.
    """

    configuration: str
    stage: str
    repeat: int
    then: tuple[PerSecond | None, PerSecond | None]
    now: tuple[PerSecond | None, PerSecond | None]
    verdict: ComparisonVerdict | ReproductionVerdict


class ChangedLimit(Struct, frozen=True):
    """A stage whose verdict names another limit now."""

    configuration: str
    stage: str
    then: str
    now: str


class ReproductionResults(Struct, frozen=True):
    """A run of an archive's experiment against the archive.

    Attributes:
        schema_version: Of this structure as JSON.
        archive: Its identity.
        then: The archive's run.
        now: The new run.
        verdict: Whether it came out the same.
        differs: What differs around the runs.
        where: Metrics that came out otherwise.
        doubtful: Likewise, of suspect stages.
        missing: Stages that were measured only then.
        searches: Then and now.
        limits: Verdicts that name another limit.
        comparison: None where the runs cannot be compared.
        why_not: Why.
    """

    schema_version: int
    archive: str
    then: ReproducedRun
    now: ReproducedRun
    verdict: ReproductionVerdict
    differs: tuple[SideBySide, ...]
    where: tuple[Deviation, ...]
    doubtful: tuple[Deviation, ...]
    missing: tuple[MissingStage, ...]
    searches: tuple[SearchBracket, ...]
    limits: tuple[ChangedLimit, ...]
    comparison: Comparison | None
    why_not: str
