"""The end of a report: all configurations side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from runner.analyze.failure import failure
from runner.analyze.medians import of_medians
from runner.core.codes import Limit, ProofAnswer, Role, Validity
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report.headline_thresholds import failed_thresholds_phrase
from runner.report.markdown_text import EMPTY, Markdown, listed, markdown
from runner.report.metric_text import levels, role_name
from runner.report.prose import title
from runner.report.stage_choice import (
    believed,
    constant,
    cut_short,
    limited_beside_rates,
    measured,
    missed,
    says_nothing,
    sustained,
    undecided,
)
from runner.report.without_constant_rate import (
    level_phrase,
    ramp_sentence,
    ramps_in,
    users_sentence,
    with_users,
)

_HOPS: Final = (Role.PROXY, Role.FORWARDER)


def final(configurations: Sequence[ConfigurationResults], *, compared: bool = True) -> list[Markdown]:
    """Return paragraphs over all configurations; `compared` adds those that share a target rate."""
    configurations = tuple(map(of_medians, configurations))
    several = len(configurations) > 1
    rated = [each for each in configurations if constant(each.stages)]
    limited = [_reach(each, several=several) for each in rated if not _kept_up(each)]
    side_by_side = _compared(configurations) if compared else []
    ramps = [ramp_sentence(each, stage, several=several) for each, stage in ramps_in(configurations)]
    users = [users_sentence(each, stage, several=several) for each, stage in with_users(configurations)]
    beside = filter(None, (_beside_rates(each, several=several) for each in configurations))
    return [*_unlimited(rated, several=several), *limited, *ramps, *users, *beside, *side_by_side]


def _beside_rates(configuration: ConfigurationResults, *, several: bool) -> Markdown:
    """Return what limited the first ramp, or the users with the highest throughput; empty without any."""
    stage = next(iter(limited_beside_rates(configuration.stages)), None)
    if stage is None or not stage.verdict.findings:
        return EMPTY
    name = markdown("**{}**, ", title(configuration)) if several else EMPTY
    where = level_phrase(stage)
    return markdown(
        "{}{}, {}", name, where if several else f"{where[:1].upper()}{where[1:]}", _why_missed(stage)
    )


def _kept_up(configuration: ConfigurationResults) -> bool:
    """Return whether every offered rate was sustained."""
    return bool(measured(constant(configuration.stages))) and not missed(configuration.stages)


def _unlimited(configurations: Sequence[ConfigurationResults], *, several: bool) -> list[Markdown]:
    """Return a sentence for every rate that was the highest, about all that sustained it."""
    at: dict[_Highest, list[str]] = {}
    for configuration in filter(_kept_up, configurations):
        stage = sustained(configuration.stages)[-1]
        limited = bool(limited_beside_rates(configuration.stages))
        key = _Highest(levels(stage), searched=stage.find is not None, limited=limited)
        at.setdefault(key, []).append(title(configuration))
    return [
        markdown(
            "{} sustained {}.",
            listed(markdown("**{}**", name) for name in names) if several else "The service",
            highest.phrase(len(names)),
        )
        for highest, names in at.items()
    ]


class _Highest(NamedTuple):
    """The highest rate of configurations that sustained every rate.

    Attributes:
        rate: With its unit.
        searched: Whether it is the highest that a search may try.
        limited: Whether a ramp or users reached a limit beside it.
    """

    rate: str
    searched: bool
    limited: bool

    def phrase(self, configurations: int) -> str:
        """Return the rate, which one it is, and whether that is a limit."""
        if self.limited:
            return f"{self.rate}, the highest constant rate tested"
        which = "that the search may try" if self.searched else "tested"
        limits = "Its capacity limit was" if configurations == 1 else "Their capacity limits were"
        return f"{self.rate}, the highest rate {which}. {limits} not reached"


def _compared(configurations: Sequence[ConfigurationResults]) -> list[Markdown]:
    """Return a paragraph for every rate that was offered to several configurations."""
    offered: dict[str, list[tuple[str, Stage]]] = {}
    for configuration in configurations:
        for stage in measured(believed(constant(configuration.stages))):
            offered.setdefault(levels(stage), []).append((title(configuration), stage))
    return [_side_by_side(rate, pairs) for rate, pairs in offered.items() if len(pairs) > 1]


def _side_by_side(rate: str, pairs: Sequence[tuple[str, Stage]]) -> Markdown:
    achieved = [_achieved(name, stage) for name, stage in pairs]
    costs = [cost for name, stage in pairs if (cost := _host_cost(name, stage))]
    whose = "CPU of all nodes" if any(stage.nodes for _, stage in pairs) else "Host CPU"
    cost = markdown(" {} per successful response: {}.", whose, listed(costs)) if len(costs) > 1 else EMPTY
    return markdown("At {}, {}.{}", rate, listed(achieved), cost)


def _achieved(name: str, stage: Stage) -> Markdown:
    if stage.scenarios:
        return markdown(
            "{} completed {:rate} scenarios per second (p95 scenario duration {:ms} ms)",
            *(name, stage.scenarios_per_s, stage.scenario_duration_ms.p95),
        )
    return markdown(
        "{} achieved {:rate} RPS (p95 duration {:ms} ms)", name, stage.actual_rps, stage.duration_ms.p95
    )


def _host_cost(name: str, stage: Stage) -> Markdown:
    """Return the CPU time of the whole host, and what the hops before the app account for."""
    costs = stage.cpu_us_per_request
    total = costs.get(Role.SYSTEM)
    if not total:
        return EMPTY
    hops = [markdown("{} {:micros} µs", role_name(role), cost) for role in _HOPS if (cost := costs.get(role))]
    parts = markdown(" (of which {})", listed(hops)) if hops else EMPTY
    return markdown("{:micros} µs in {}{}", total, name, parts)


def _reach(configuration: ConfigurationResults, *, several: bool) -> Markdown:
    name = markdown("**{}**", title(configuration)) if several else markdown("The service")
    ran = measured(constant(configuration.stages))
    if not ran:
        return markdown("{} was not run.", name)
    good, short = sustained(ran), missed(ran)[0]
    reach = markdown("sustained {}", levels(good[-1])) if good else _none(ran)
    return markdown("{} {}. At {}, {}", name, reach, levels(short), _why_missed(short))


def _none(ran: Sequence[Stage]) -> str:
    if any(undecided(stage) or cut_short(stage) or says_nothing(stage) for stage in ran):
        return "was not shown to sustain any rate"
    return "did not sustain the rate" if len(ran) == 1 else "sustained none of the rates"


def _why_missed(stage: Stage) -> Markdown:
    verdict = stage.verdict
    if why := failure(stage) or _not_judged(stage):
        return markdown("{}.", why)
    if not verdict.findings:
        return markdown("it missed the target.")
    summary, proof = verdict.findings[0].summary, verdict.counter_experiment
    if proof is not None and proof.answer in {ProofAnswer.CONFIRMED, ProofAnswer.REFUTED}:
        return markdown("{}. {}", summary, proof.sentence)
    sure = EMPTY if verdict.code is Limit.UNDETERMINED else markdown(" ({})", verdict.confidence)
    return markdown("{}{}.", summary, sure)


def _not_judged(stage: Stage) -> str:
    """Return why a stage says nothing about what limits the service; empty if it does."""
    probe = stage.find
    if stage.validity.status is Validity.INVALID:
        reason = f" ({stage.validity.reasons[0]})" if stage.validity.reasons else ""
        return f"the measurement is invalid{reason} and supports no conclusion"
    if probe is not None and probe.holds is None:
        return f"the search stopped: {probe.why}"
    if probe is not None and stage.verdict.code is Limit.WITHIN_CAPACITY:
        return f"it achieved the rate, but the search’s conditions failed: {probe.why}"
    if stage.verdict.code is Limit.WITHIN_CAPACITY and (failed := failed_thresholds_phrase(stage)):
        return f"it achieved the rate, but {failed}"
    return "the stage was aborted before its end" if cut_short(stage) else ""
