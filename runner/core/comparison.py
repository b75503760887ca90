"""What comes of setting runs against each other: comparison, history and reproduction."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from runner.core.codes import Basis, ComparisonVerdict, RateUnit, ReproductionVerdict, Unbounded
from runner.core.judgements import Doubt
from runner.core.ramp import Ramp
from runner.core.units import PerSecond

StageKey: TypeAlias = tuple[str, str]
"""Name of a configuration and name of a stage."""


class SideBySide(Struct, frozen=True):
    """Something in which two sides differ, such as a version, as text."""

    what: str
    base: str
    head: str


class RunSummary(Struct, frozen=True):
    """A run; fields as in its results."""

    id: str
    started_at: str
    status: str


class ComparedRun(RunSummary, frozen=True):
    """One run of a side or of a history."""

    spec_sha256: str
    command: str


class StagePlace(Struct, frozen=True):
    """A stage of a configuration, by name."""

    configuration: str
    stage: str


class PartPlace(StagePlace, frozen=True, kw_only=True, omit_defaults=True):
    """A stage, one request of its mix, or one slice of its ramp.

    Attributes:
        request: Absent for the whole stage.
        level: Of a slice: the rate, or the number of users, at both of its ends; absent for the whole stage.
        users: Whether that is a number of users.
        user_rate: Whether it is a number of users who start per second.
    """

    request: str = ""
    level: Ramp | None = None
    users: bool = False
    user_rate: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole stage."""
        return not self.request and self.level is None


class LeftOut(Struct, frozen=True, omit_defaults=True):
    """A stage that is not used, or used with doubt.

    Attributes:
        side: ``base``, ``head`` or ``both``.
        repeat: From 1; absent for a stage that is measured once.
        run: Its id, where the side has several runs.
        doubts: What `why` says without its figures; absent where that is not known.
    """

    side: str
    configuration: str
    stage: str
    why: str
    repeat: int = 0
    run: str = ""
    doubts: tuple[Doubt, ...] = ()


class ComparedMetric(Struct, frozen=True, omit_defaults=True):
    """One metric of one stage on both sides.

    Attributes:
        name: Key of `runner.analyze.key_metrics`.
        unit: Of `base` and `head`.
        base: Geometric mean of the side (arithmetic mean of a share).
        n: How many stages each side has.
        change: As a share of `base`; of a share, the difference.
        low: Lower end of its interval.
        detectable: The smallest change that these data could have shown.
        basis: Where the noise between runs is taken from.
        judged: Whether its change may be called better or worse: not where one without repeats is suspect.
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
    judged: bool = True


class MetricWithoutValue(Struct, frozen=True):
    """One metric of one stage that cannot be compared, because a side has no finite value.

    Attributes:
        base: Its value; None where it has no finite one.
        why_base: Why it has none; None where it has one or was not measured.
    """

    name: str
    unit: str
    base: float | None
    head: float | None
    why_base: Unbounded | None
    why_head: Unbounded | None


class ComparedStage(PartPlace, frozen=True, omit_defaults=True):
    """One stage on both sides, or one request or slice of it."""

    metrics: tuple[ComparedMetric, ...]
    verdict: ComparisonVerdict
    without_value: tuple[MetricWithoutValue, ...] = ()


class NotJudged(PartPlace, frozen=True, omit_defaults=True):
    """A stage, or a request or slice of it, of which this comparison does not say whether it got worse.

    Attributes:
        metrics: Those that are not judged; empty where nothing of it is.
        suspect: Whether the reason is that the stage is suspect and was measured once.
    """

    why: str
    metrics: tuple[str, ...] = ()
    suspect: bool = False


class Comparison(Struct, frozen=True):
    """Two sets of runs of the same stages.

    Attributes:
        margin: Changes up to this share count as none.
        confidence: That all intervals hold together.
        unlike: What makes the machines too different; compared all the same.
        suspect: Stages that were used with doubt.
        not_judged: What may have got worse without being noticed.
        same: What identifies the programs and is known to be equal; empty where any of it differs.
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
    not_judged: tuple[NotJudged, ...]
    same: tuple[str, ...] = ()


class MetricHistory(Struct, frozen=True, omit_defaults=True):
    """One metric of one stage over runs.

    Attributes:
        name: Key of `runner.analyze.key_metrics`.
        values: One per run, None where a run has none, or no finite one.
        unbounded: Places in `values` of runs in which the metric has no finite value.
        median: Of all values but the last.
        verdict: The last run against all earlier ones; None where it could not be judged.
    """

    name: str
    unit: str
    values: tuple[float | None, ...]
    median: float | None
    last: float | None
    verdict: ComparisonVerdict | None
    unbounded: tuple[int, ...] = ()


class StageHistory(PartPlace, frozen=True, omit_defaults=True):
    """One stage over runs, or one request or slice of it.

    Attributes:
        suspect: Places of the runs in which the stage is suspect.
    """

    metrics: tuple[MetricHistory, ...]
    suspect: tuple[int, ...] = ()


class History(Struct, frozen=True):
    """Runs of one experiment in order of time.

    Attributes:
        runs: On the machine of the last one.
        unlike: Ids of runs on other machines, which are left out.
    """

    schema_version: int
    experiment: str
    margin: float
    runs: tuple[ComparedRun, ...]
    unlike: tuple[str, ...]
    stages: tuple[StageHistory, ...]


class Deviation(PartPlace, frozen=True, omit_defaults=True):
    """A metric that came out otherwise."""

    metric: str
    change: float
    verdict: ComparisonVerdict


class MissingStage(StagePlace, frozen=True):
    """A stage that the archive measured and the new run did not."""

    why: str


class SearchBracket(StagePlace, frozen=True, omit_defaults=True):
    """A search then and now.

    Attributes:
        then: The highest rate that passed and the lowest that failed.
        verdict: A `ComparisonVerdict`, or that it is not known.
        unit: What its rates count.
    """

    repeat: int
    then: tuple[PerSecond | None, PerSecond | None]
    now: tuple[PerSecond | None, PerSecond | None]
    verdict: ComparisonVerdict | ReproductionVerdict
    unit: RateUnit = RateUnit.REQUESTS


class ChangedLimit(StagePlace, frozen=True):
    """A stage whose verdict names another limit now."""

    then: str
    now: str


class TooLittleData(PartPlace, frozen=True, omit_defaults=True):
    """A stage in which a doubling of p95 could not have been shown, or a request of it.

    Attributes:
        metric: The one with the least power.
        detectable: The smallest change of it that could have been shown.
        requests: The fewest that a side scheduled.
    """

    metric: str
    detectable: float
    requests: int


class ReproductionResults(Struct, frozen=True):
    """A run of an archive's experiment against the archive.

    Attributes:
        differs: What differs around the runs.
        where: Metrics that came out otherwise.
        doubtful: Likewise, of suspect stages.
        missing: Stages that were measured only then.
        limits: Verdicts that name another limit.
        too_little_data: Where equal results show nothing.
        comparison: None where the runs cannot be compared.
    """

    schema_version: int
    archive: str
    then: RunSummary
    now: RunSummary
    verdict: ReproductionVerdict
    differs: tuple[SideBySide, ...]
    where: tuple[Deviation, ...]
    doubtful: tuple[Deviation, ...]
    missing: tuple[MissingStage, ...]
    searches: tuple[SearchBracket, ...]
    limits: tuple[ChangedLimit, ...]
    comparison: Comparison | None
    why_not: str
    too_little_data: tuple[TooLittleData, ...]
