"""A run in one sentence and four figures: what the top of the page, the terminal and lists of runs show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from runner.analyze.medians import of_medians
from runner.core.codes import Confidence, Limit, Role, RoleName, Validity
from runner.core.metrics import METRICS, lost_share, lost_share_of_scenarios
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import metric_text, number_format
from runner.report.capacity import shown
from runner.report.conclusion import conclusion
from runner.report.doubts import first_doubts, whole_reasons, worst_validity
from runner.report.headline_sentence import verdict_sentence
from runner.report.headline_stages import Place, best_place, limited_place
from runner.report.headline_thresholds import failed_there
from runner.report.limit_phrases import limiting_role, part_name
from runner.report.markdown_text import unmarked
from runner.report.prose import title
from runner.report.stage_choice import failed, limit_or_state, missed, probe_result
from runner.report.without_constant_rate import highest_throughput, level_phrase


class Tone(StrEnum):
    """How good the news is; decides the colour of a page's first lines."""

    GOOD = "good"
    NEUTRAL = "neutral"
    BAD = "bad"


class PartCpu(NamedTuple):
    """CPU of one part in a stage.

    Attributes:
        role: A role, or the name of a service.
        name: What people call it, such as ``App CPU``.
        cores: Average over the measured window; None where it was not measured.
        of: Cores of the machine, where the part is all of it; None otherwise.
        at: The level of the stage, such as ``4,000 RPS``.
    """

    role: RoleName
    name: str
    cores: float | None
    of: int | None
    at: str

    @property
    def text(self) -> str:
        """The figure with its unit."""
        if self.cores is None:
            return number_format.NOT_MEASURED
        of = f" of {self.of:,}" if self.of else ""
        return f"{number_format.cores(self.cores)}{of} cores"


@dataclass(frozen=True, slots=True)
class Headline:
    """What a run says first.

    Attributes:
        sentence: The verdict and the thresholds that failed at that rate; plain text with a full stop.
        limit: What limits the stage that the verdict is about; None where no stage was measured.
        confidence: How sure that is; None likewise.
        validity: The worse one of `stage` and `limited`; None likewise.
        doubt: Why the result is to be believed with care, without a full stop; empty if it is valid.
        doubt_details: Which programs outside the experiment used the processors, a text for each stage.
        configuration: Title of the configuration that the figures are of; empty if there is only one.
        stage: The stage of the figures: the highest rate that was sustained, else the highest throughput.
            Of repeats, their median. None where nothing was measured.
        limited: The stage that the verdict and the CPU are about; None likewise.
        limited_configuration: Title of its configuration; empty if there is only one.
        is_sustained: Whether `stage` was sustained.
        rate: In `rate_unit`; None where nothing was measured.
        p95_ms: None where it has no finite value, and of a ramp.
        error_share: Of requests, or of scenarios, 0 to 1.
    """

    sentence: str
    tone: Tone
    limit: Limit | None = None
    confidence: Confidence | None = None
    validity: Validity | None = None
    doubt: str = ""
    doubt_details: tuple[str, ...] = ()
    configuration: str = ""
    stage: Stage | None = None
    limited: Stage | None = None
    limited_configuration: str = ""
    is_sustained: bool = False
    rate: float | None = None
    rate_unit: str = "RPS"
    p95_ms: float | None = None
    error_share: float | None = None
    cpu: PartCpu | None = None

    @property
    def rate_title(self) -> str:
        """What `rate` is."""
        return "Sustained rate" if self.is_sustained else "Highest throughput"

    @property
    def rate_text(self) -> str:
        """The rate with its unit."""
        if self.rate is None:
            return number_format.NOT_MEASURED
        return f"{number_format.rate(self.rate)} {self.rate_unit}"

    @property
    def p95_title(self) -> str:
        """Which latency `p95_ms` is."""
        return METRICS[_latency(self.stage)].title if self.stage else "p95"

    @property
    def p95_text(self) -> str:
        """The latency with its unit, or why it has no finite value."""
        if self.stage is None:
            return number_format.NOT_MEASURED
        return metric_text.with_unit(METRICS[_latency(self.stage)], self.stage)

    @property
    def errors_title(self) -> str:
        """What `error_share` is of."""
        if self.stage and self.stage.scenarios:
            return "Scenarios not completed"
        return "Failed or dropped"

    @property
    def where(self) -> str:
        """Which level `stage` had, to end a phrase with: ``at 100 RPS``; empty where nothing was measured."""
        return level_phrase(self.stage) if self.stage else ""

    @property
    def limited_where(self) -> str:
        """The same of `limited`."""
        return level_phrase(self.limited) if self.limited else ""

    @property
    def limit_validity(self) -> Validity | None:
        """Whether the stage that the verdict is about may be believed; None where nothing was measured."""
        return self.limited.validity.status if self.limited else None

    @property
    def limit_or_state(self) -> str:
        """The verdict's code, or why there is none; empty where no stage was measured."""
        return limit_or_state(self.limited) if self.limited else ""

    @property
    def outcome(self) -> str:
        """The verdict's code, without its node, or why a search's rate has none; empty likewise."""
        return (probe_result(self.limited) or self.limited.verdict.code) if self.limited else ""

    @property
    def errors_text(self) -> str:
        """The share of requests, or of scenarios, that failed or were dropped."""
        return number_format.share(self.error_share)


def headline(results: Results) -> Headline:
    """Return what a run says first; of a run without any measured stage, only that."""
    configurations = tuple(of_medians(shown(one)) for one in results.configurations)
    best, is_sustained = best_place(configurations)
    if best is None:
        return Headline(unmarked(conclusion(configurations)), Tone.BAD)
    limited = limited_place(best, configurations)
    several = len(configurations) > 1
    pair = [(place.name(several=several), place.stage) for place in (best, limited)]
    sentence = verdict_sentence(best, limited, configurations, is_sustained=is_sustained)
    broken = _failed_thresholds(best, limited.stage) if is_sustained else ""
    rate, unit = _rate(best.stage, is_sustained=is_sustained)
    return Headline(
        f"{sentence} {broken}".rstrip(),
        _tone(results, limited.stage, is_sustained=is_sustained),
        limit=limited.stage.verdict.code,
        confidence=limited.stage.verdict.confidence,
        validity=worst_validity((best.stage, limited.stage)),
        doubt=first_doubts(pair, results.cpu_count),
        doubt_details=tuple(whole_reasons(pair)),
        configuration=title(best.configuration) if several else "",
        stage=best.stage,
        limited=limited.stage,
        limited_configuration=title(limited.configuration) if several else "",
        is_sustained=is_sustained,
        rate=rate,
        rate_unit=unit,
        p95_ms=_p95_ms(best.stage),
        error_share=lost_share_of_scenarios(best.stage) if best.stage.scenarios else lost_share(best.stage),
        cpu=_cpu(limited.stage, results.cpu_count),
    )


def _failed_thresholds(best: Place, limited: Stage) -> str:
    """Return how many thresholds failed at the rate that a search found, or else at the lowest missed rate.

    Empty if the sentence is about that stage already.
    """
    if best.stage.find:
        return failed_there(best.stage)
    short = missed(best.configuration.stages)[:1]
    return "" if short == [limited] else "".join(map(failed_there, short))


def _rate(stage: Stage, *, is_sustained: bool) -> tuple[float | None, str]:
    if is_sustained:
        return stage.rate, metric_text.level_unit(stage)
    return highest_throughput(stage), "scenarios/s" if stage.scenarios else "RPS"


def _p95_ms(stage: Stage) -> float | None:
    """Return the latency of a stage; None of a ramp, which has one in each of its slices."""
    metric = METRICS[_latency(stage)]
    return None if metric_text.is_in_slices(metric, stage) else metric.read(stage)


def _latency(stage: Stage) -> str:
    if stage.scenarios:
        return "scenario_duration.p95"
    response_time, duration = METRICS["response_time.p95"], METRICS["duration.p95"]
    parts = (stage, *stage.slices)
    is_unknown = not response_time.is_known_in(parts) and duration.is_known_in(parts)  # engine k6
    return duration.path if stage.users is not None or is_unknown else response_time.path


def _tone(results: Results, limited: Stage, *, is_sustained: bool) -> Tone:
    """Return the colour of the news: bad if the system or a threshold failed, good if there is no limit."""
    stages = [stage for one in map(of_medians, results.configurations) for stage in one.stages]
    if failed(stages) or any(not check.ok for stage in stages for check in stage.thresholds):
        return Tone.BAD
    no_limit = limited.verdict.code is Limit.WITHIN_CAPACITY and limited.find is None
    return Tone.GOOD if is_sustained and no_limit else Tone.NEUTRAL


def _cpu(stage: Stage, host_cores: int | None) -> PartCpu | None:
    """Return the CPU of the part that limits a stage; of one node if the limit is on it."""
    role = limiting_role(stage)
    at = metric_text.levels(stage)
    node = next((node for node in stage.nodes if node.name == stage.verdict.node), None)
    usages, cores = (node.cpu_cores, node.cores) if node else (stage.cpu_cores, host_cores)
    if node and not usages.get(role):
        role = Role.SYSTEM
    usage = usages.get(role)
    if usage is None:
        return None
    whole = cores if role == Role.SYSTEM and (node or not stage.nodes) else None
    name = f"{part_name(role)} on {node.name}" if node else part_name(role)
    return PartCpu(role, name, usage.avg, whole, at)
