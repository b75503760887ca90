"""The verdict on a run in one sentence of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from runner.analyze.failure import failure
from runner.core.codes import Limit, Mask, SearchEnding, StageStatus, Validity
from runner.core.metrics import cut_off_share
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import conclusion, number_format
from runner.report.achieved_share import achieved_share
from runner.report.headline_stages import Place
from runner.report.headline_thresholds import failed_thresholds_phrase
from runner.report.limit_phrases import error_phrase, limit_phrase
from runner.report.limit_text import has_hints
from runner.report.markdown_text import unmarked
from runner.report.metric_text import levels
from runner.report.prose import title, why_missed
from runner.report.stage_choice import (
    believed,
    constant,
    cut_short,
    measured,
    missed,
    says_nothing,
    sustained,
    undecided,
)
from runner.report.without_constant_rate import level_phrase, throughput_of

_MASKS: Final = {
    Mask.GENERATOR: "the load generator may be the limit",
    Mask.PORTS: "the generator’s machine has no free local port",
    Mask.PROGRAMS: "other programs used the CPU",
    Mask.INVALID: "the measurement is invalid",
}


def verdict_sentence(
    best: Place, limited: Place, configurations: Sequence[ConfigurationResults], *, is_sustained: bool
) -> str:
    """Return what the service sustains and what limits it, with a full stop."""
    several = len(configurations) > 1
    if not any(constant(one.stages) for one in configurations):
        if best.stage.users is None or best.stage.level_ramp:
            return unmarked(conclusion.conclusion(configurations))
        return f"{_highest(best, several=several)}; {_limit(best, limited, several=several)}."
    if not is_sustained and _all_aborted(configurations):
        seen = "" if cut_short(limited.stage) else _not_judged(limited.stage) or _named_limit(limited.stage)
        where = f"{level_phrase(limited.stage)}, {seen}" if seen else "no rate is shown to be sustained"
        return f"No stage ran to its end; {where}."
    reached = _nothing_sustained(best, configurations)
    if is_sustained:
        reached = f"{_sustained(best, configurations)}{_cut_off(best.stage)}"
    if limited.stage is best.stage and is_sustained:
        return f"{reached}{_higher_ramp(best, configurations)}; no limit was reached."
    return f"{reached}; {_limit(best, limited, several=several, is_sustained=is_sustained)}."


def _highest(best: Place, *, several: bool) -> str:
    """Return the highest throughput that users got, and how many they were."""
    where = f" in {title(best.configuration)}" if several else ""
    return f"The highest throughput is {throughput_of(best.stage)}, {level_phrase(best.stage)}{where}"


def _sustained(best: Place, configurations: Sequence[ConfigurationResults]) -> str:
    if len(configurations) > 1:
        return _sustained_most(best, configurations)
    whole = constant(best.configuration.stages)
    is_highest = all(stage.rate <= best.stage.rate for stage in whole)
    if len(whole) > 1 and best.stage.find is None and is_highest and not missed(whole):
        every = "every constant rate" if _ramp_above(best) else "every offered rate"
        return f"The service sustains {every}, up to {levels(best.stage)}"
    return f"The service sustains {_least(best)}{levels(best.stage)}"


def _higher_ramp(best: Place, configurations: Sequence[ConfigurationResults]) -> str:
    """Return that the service completed a ramp to a higher rate, which it did not have to sustain there."""
    ramp = _ramp_above(best) if len(configurations) == 1 else None
    if ramp is None or any(not result.ok for result in ramp.thresholds):
        return ""
    return f" and completes the ramp from {levels(ramp)}"


def _ramp_above(best: Place) -> Stage | None:
    """Return the ramp with the highest rate above the sustained one that may be believed."""
    ramps = believed(measured([one for one in best.configuration.stages if one.rate_ramp]))
    return max(
        (one for one in ramps if _peak(one) > best.stage.rate and not cut_short(one)), key=_peak, default=None
    )


def _peak(stage: Stage) -> float:
    return stage.rate_ramp.highest if stage.rate_ramp else 0.0


def _cut_off(stage: Stage) -> str:
    """Return how many users of a sustained rate were not seen to their end; empty for a few."""
    share = cut_off_share(stage)
    if not share:
        return ""
    return f", but {number_format.share(share)} of the users were still under way when the stage ended"


def _least(best: Place) -> str:
    """Return ``at least`` for the result of a search above which something hid the service."""
    name = best.stage.find.stage if best.stage.find else ""
    masked = (one.ending is SearchEnding.MASKED for one in best.configuration.capacity if one.stage == name)
    return "at least " if any(masked) else ""


def _sustained_most(best: Place, configurations: Sequence[ConfigurationResults]) -> str:
    """Return which configuration sustains the highest rate; of several, the one with the lowest p95."""
    name, rate = title(best.configuration), _least(best) + levels(best.stage)
    reached = [stages[-1].rate for one in configurations if (stages := sustained(one.stages))]
    equal = reached.count(best.stage.rate)
    if equal > 1:
        return f"{equal} of {len(configurations)} configurations sustain {rate}, {name} with the lowest p95"
    return f"{name} sustains {rate}, the highest rate of {len(configurations)} configurations"


def _nothing_sustained(best: Place, configurations: Sequence[ConfigurationResults]) -> str:
    stage = best.stage
    ran = [one for each in configurations for one in measured(constant(each.stages))]
    if says_nothing(stage):
        which = f"{levels(ran[0])} is not" if len(ran) == 1 else "No offered rate is"
        return f"{which} shown to be sustained"
    none = f"{levels(ran[0])} is not sustained" if len(ran) == 1 else "No offered rate is sustained"
    if any(cut_short(one) or says_nothing(one) for one in ran):
        none = "No offered rate is shown to be sustained"
    if not constant([stage]):
        where = f" of {title(best.configuration)}" if len(configurations) > 1 else ""
        return f"{none}; the highest throughput{where} is {throughput_of(stage)}, {level_phrase(stage)}"
    if why := why_missed(stage):
        return f"{none}: {why}"
    subject = title(best.configuration) if len(configurations) > 1 else "the service"
    if stage.scenarios:
        reached = f"{number_format.rate(stage.scenarios_per_s)} scenarios per second"
        return f"{none}: {subject} completes {reached} of {levels(stage)}"
    actual = number_format.rate(stage.actual_rps)
    return f"{none}: {subject} achieves {actual} RPS of {levels(stage)} ({achieved_share(stage)})"


def _all_aborted(configurations: Sequence[ConfigurationResults]) -> bool:
    """Return whether every stage with a constant rate that ran was aborted."""
    ran = [stage for one in configurations for stage in measured(constant(one.stages))]
    return bool(ran) and all(stage.status is StageStatus.ABORTED for stage in ran)


def _limit(best: Place, limited: Place, *, several: bool, is_sustained: bool = False) -> str:
    """Return what limits the stage that the verdict is about, and where that is."""
    stage = limited.stage
    where = "" if stage is best.stage else f"{_where(best, limited, is_sustained=is_sustained)}, "
    if several and limited.configuration is not best.configuration:
        where = f"in {title(limited.configuration)} {level_phrase(stage)}, "
    return f"{where}{_what(stage)}"


def _where(best: Place, limited: Place, *, is_sustained: bool) -> str:
    where = level_phrase(limited.stage)
    above = constant([limited.stage]) and is_sustained and limited.stage.rate > best.stage.rate
    return f"above that, {where}" if above else where


def _what(stage: Stage) -> str:
    """Return the limit of a stage with its confidence, or why there is none."""
    unknown = "the data do not show what limits it"
    if stage.only_unfinished and stage.users is None:
        unknown = "the other users were still under way when the stage ended"
    return failure(stage) or _not_judged(stage) or _named_limit(stage) or unknown


def _not_judged(stage: Stage) -> str:
    """Return why a stage says nothing about the service; empty if it does."""
    if undecided(stage):
        return "the search could not judge the rate"
    if cut_short(stage):
        unknown = (
            ", so it is unknown whether that rate is sustained" if constant([stage]) else " before its end"
        )
        return f"the stage was aborted{unknown}"
    if stage.verdict.code is Limit.GENERATOR:
        lost = any(node.load and node.load.lost for node in stage.nodes)
        what = "a load generator was lost" if lost else f"{limit_phrase(stage)} is the limit"
        return f"{what}, so the service’s limit is unknown"
    if stage.validity.status is not Validity.INVALID:
        return _masked(stage)
    if has_hints(stage):
        where = f" on {stage.longest_stall_on}" if stage.longest_stall_on else ""
        stood_still = f"the generator{where} did not run for {stage.longest_stall_s:.1f} s"
        return f"the measurement is invalid ({stood_still}), so the service’s limit is unknown"
    why = next(iter(stage.validity.reasons), "")
    return f"the measurement is invalid ({why})" if why else "the measurement is invalid"


def _masked(stage: Stage) -> str:
    """Return what hid the service in a probe that failed; empty if nothing did."""
    hidden_by = stage.find.mask if stage.find else UNSET
    return "" if hidden_by is UNSET else f"{_MASKS[hidden_by]}, so the service’s limit is unknown"


def _named_limit(stage: Stage) -> str:
    """Return the limit of a stage; empty if it is not known."""
    if stage.verdict.code is Limit.ERROR:
        return f"{error_phrase(stage)} ({stage.verdict.confidence})"
    if phrase := limit_phrase(stage):
        return f"the limit is {phrase} ({stage.verdict.confidence})"
    if stage.verdict.code is Limit.WITHIN_CAPACITY and stage.find is not None:
        return f"the search’s conditions fail: {stage.find.why}"
    if stage.verdict.code is Limit.WITHIN_CAPACITY and (failed := failed_thresholds_phrase(stage)):
        return f"{failed} although the rate was achieved"
    return ""
