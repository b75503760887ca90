"""The end of a report: all configurations side by side, and what follows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET

from runner.analyze.failure import failure
from runner.analyze.median_stage import MEDIAN
from runner.analyze.medians import of_medians
from runner.core.codes import Limit, ProofAnswer, Role, Validity, cpu_used_up
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import number_format, request_cost
from runner.report.generator_accuracy import disagreement
from runner.report.markdown_text import EMPTY, Markdown, join, listed, markdown
from runner.report.metric_text import levels, role_name
from runner.report.prose import throughput, title, until_failure
from runner.report.ramps import crossing
from runner.report.stage_choice import believed, constant, failed, measured, missed, sustained, undecided
from runner.report.tables import every_stage

_NO_LIMIT_OF_THE_SERVICE: Final = frozenset({Limit.UNDETERMINED, Limit.GENERATOR, Limit.WITHIN_CAPACITY})
_ABOVE: Final = markdown("Above that rate")
_HOPS: Final = (Role.PROXY, Role.FORWARDER)


def final(configurations: Sequence[ConfigurationResults], *, compared: bool = True) -> list[Markdown]:
    """Return paragraphs over all configurations; `compared` adds those that share a target rate."""
    configurations = tuple(map(of_medians, configurations))
    several = len(configurations) > 1
    rated = [each for each in configurations if constant(each.stages)]
    limited = [_reach(each, several=several) for each in rated if not _kept_up(each)]
    side_by_side = _compared(configurations) if compared else []
    ramps = [_of_ramp(each, stage, several=several) for each, stage in _ramps(configurations)]
    users = [_of_users(stage) for _, stage in _closed(configurations)]
    return [*_unlimited(rated, several=several), *limited, *ramps, *users, *side_by_side]


def _ramps(configurations: Sequence[ConfigurationResults]) -> Iterator[tuple[ConfigurationResults, Stage]]:
    """Yield the ramps of the rate that conclusions may rest on."""
    for configuration in configurations:
        yield from (
            (configuration, stage) for stage in measured(believed(configuration.stages)) if stage.ramp
        )


def _closed(configurations: Sequence[ConfigurationResults]) -> Iterator[tuple[ConfigurationResults, Stage]]:
    """Yield the stages with users that conclusions may rest on."""
    for configuration in configurations:
        ran = measured(believed(configuration.stages))
        yield from ((configuration, stage) for stage in ran if stage.users is not None)


def _of_users(stage: Stage) -> Markdown:
    """Return the throughput that users got; it is the result of the closed model."""
    return markdown("{}.", throughput(stage))


def _of_ramp(configuration: ConfigurationResults, stage: Stage, *, several: bool) -> Markdown:
    """Return where a ramp passed its first threshold, or else how much of it was sustained."""
    name = (
        markdown("**{}**, {}", title(configuration), levels(stage))
        if several
        else markdown("{}", levels(stage))
    )
    crossed = [result for result in stage.thresholds if result.level is not UNSET]
    if crossed:
        first = min(crossed, key=lambda result: _since_begin(stage, result.level or 0.0))
        return markdown("{}: {}.", name, crossing(first, stage))
    return markdown("{}: the service sustained {:share} of the ramp.", name, stage.achieved)


def _since_begin(stage: Stage, level: float) -> float:
    """Return how far a level is from the one at which a ramp begins."""
    return abs(level - stage.ramp.begin) if stage.ramp else 0.0


def _kept_up(configuration: ConfigurationResults) -> bool:
    """Return whether every offered rate was sustained."""
    return bool(measured(constant(configuration.stages))) and not missed(configuration.stages)


def _unlimited(configurations: Sequence[ConfigurationResults], *, several: bool) -> list[Markdown]:
    """Return a sentence for every rate that was the highest, about all that sustained it."""
    at: dict[tuple[float, bool], list[str]] = {}
    for configuration in filter(_kept_up, configurations):
        highest = sustained(configuration.stages)[-1]
        key = (highest.rate, highest.find is not None)
        at.setdefault(key, []).append(title(configuration))
    return [
        markdown(
            "{} sustained {:rate} RPS, the highest rate {}. {} not reached.",
            listed(markdown("**{}**", name) for name in names) if several else "The service",
            rate,
            "that the search may try" if searched else "tested",
            "Its capacity limit was" if len(names) == 1 else "Their capacity limits were",
        )
        for (rate, searched), names in at.items()
    ]


def _compared(configurations: Sequence[ConfigurationResults]) -> list[Markdown]:
    """Return a paragraph for every rate that was offered to several configurations."""
    offered: dict[float, list[tuple[str, Stage]]] = {}
    for configuration in configurations:
        for stage in measured(believed(constant(configuration.stages))):
            offered.setdefault(stage.rate, []).append((title(configuration), stage))
    return [_side_by_side(rate, pairs) for rate, pairs in offered.items() if len(pairs) > 1]


def _side_by_side(rate: float, pairs: Sequence[tuple[str, Stage]]) -> Markdown:
    numbers = [(name, stage.actual_rps, stage.duration_ms.p95) for name, stage in pairs]
    achieved = [markdown("{} achieved {:rate} RPS (p95 duration {:ms} ms)", *known) for known in numbers]
    costs = [cost for name, stage in pairs if (cost := _host_cost(name, stage))]
    cost = markdown(" Host CPU per successful response: {}.", listed(costs)) if len(costs) > 1 else EMPTY
    return markdown("At {:rate} RPS, {}.{}", rate, listed(achieved), cost)


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
    reach = markdown("sustained {:rate} RPS", good[-1].target_rps) if good else _none(ran)
    return markdown("{} {}. At {:rate} RPS, {}", name, reach, short.target_rps, _why_missed(short))


def _none(ran: Sequence[Stage]) -> str:
    if any(map(undecided, ran)):
        return "was not shown to sustain any rate"
    return "did not sustain the rate" if len(ran) == 1 else "sustained none of the rates"


def _why_missed(stage: Stage) -> Markdown:
    verdict, probe = stage.verdict, stage.find
    if stage.validity.status is Validity.INVALID:
        why = failure(stage) or "the measurement is invalid and supports no conclusion"
        return markdown("{}.", why)
    if probe is not None and probe.holds is None:
        return markdown("the search stopped: {}.", probe.why)
    if probe is not None and verdict.code is Limit.WITHIN_CAPACITY:
        return markdown("it achieved the rate, but the search’s conditions failed: {}.", probe.why)
    if not verdict.findings:
        return markdown("it missed the target.")
    summary, proof = verdict.findings[0].summary, verdict.counter_experiment
    if proof is not None and proof.answer in {ProofAnswer.CONFIRMED, ProofAnswer.REFUTED}:
        return markdown("{}. {}", summary, proof.sentence)
    sure = EMPTY if verdict.code is Limit.UNDETERMINED else markdown(" ({})", verdict.confidence)
    return markdown("{}{}.", summary, sure)


def conclusion(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the highest sustained rate, what is still open, and whether the engines disagree."""
    parts = (_failures(configurations), _answer(configurations), disagreement(configurations))
    return join(" ", filter(None, parts))


def _failures(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the first failure of a system under test, and how many others there were."""
    broken = [(each, stage) for each in configurations for stage in failed(each.stages)]
    if not broken:
        return EMPTY
    configuration, stage = broken[0]
    name = markdown("**{}:** ", title(configuration)) if len(configurations) > 1 else EMPTY
    others = f" {number_format.plural(len(broken) - 1, 'more stage')} failed." if len(broken) > 1 else ""
    return markdown("{}{}{}", name, until_failure(stage), others)


def _answer(whole: Sequence[ConfigurationResults]) -> Markdown:
    configurations = tuple(map(of_medians, whole))
    if not any(constant(configuration.stages) for configuration in configurations):
        return _without_constant_rate(configurations)
    good = [(sustained(configuration.stages), configuration) for configuration in configurations]
    best = [(stages[-1], configuration) for stages, configuration in good if stages]
    if not best:
        return _none_sustained(configurations)
    highest = max(stage.rate for stage, _ in best)
    equals = [pair for pair in best if pair[0].rate == highest]
    stage, where = min(equals, key=lambda pair: pair[0].response_time_ms.p95 or math.inf)
    name = title(where)
    p95 = stage.response_time_ms.p95
    if len(equals) > 1:
        name = f"{len(equals)} of {len(configurations)} configurations; fastest: {name}"
    of_all = markdown(" over all requests") if len(stage.parts) > 1 else EMPTY
    reached = markdown(
        "The highest sustained rate is **{:rate} RPS**{}{}{}.",
        stage.target_rps,
        markdown(" ({})", name) if len(configurations) > 1 else EMPTY,
        markdown(" with a p95 response time of {:ms} ms{}", p95, of_all) if p95 else EMPTY,
        _of_repeats(stage, whole[configurations.index(where)]),
    )
    if stage.validity.status is Validity.SUSPECT:
        why = "; ".join(stage.validity.reasons)
        reached = markdown("{} This stage is **suspect**: {}.", reached, why)
    rest = (
        _capacities(configurations),
        _open_question(configurations),
        request_cost.answer(configurations),
    )
    return join(" ", filter(None, (reached, *rest)))


def _of_repeats(stage: Stage, configuration: ConfigurationResults) -> Markdown:
    """Return of how many repeats a stage is the median, and how far apart they are; empty without any."""
    searches = [
        search for search in configuration.capacity if stage.find and search.stage == stage.find.stage
    ]
    if len(searches) > 1:
        rates = [search.rps or 0.0 for search in searches]
        return markdown(
            " (median of {} searches, {:rate} to {:rate} RPS)", len(rates), min(rates), max(rates)
        )
    if stage.repeat != MEDIAN:
        return EMPTY
    group = next(group for group in configuration.repeats if group.stage == stage.name)
    p95 = group.metrics.get("response_time_ms.p95")
    count = markdown("median of {} repeats", group.n)
    if p95 is None or p95.low is None:
        return markdown(" ({})", count)
    high = markdown("∞") if p95.high is None else markdown("{:ms} ms", p95.high)
    return markdown(" ({}; 95 % interval {:ms} to {})", count, p95.low, high)


def _without_constant_rate(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return where each ramp passed its first threshold, and what limited the first that reached a limit."""
    several = len(configurations) > 1
    known = [_of_ramp(each, stage, several=several) for each, stage in _ramps(configurations)]
    known += [
        markdown("**{}:** {}", title(each), _of_users(stage)) if several else _of_users(stage)
        for each, stage in _closed(configurations)
    ]
    if not known:
        return markdown("No stage was measured, so this run establishes nothing.")
    return join(" ", (*known, _limit_of_ramps(configurations)))


def _limit_of_ramps(configurations: Sequence[ConfigurationResults]) -> Markdown:
    stages = [stage for _, stage in (*_ramps(configurations), *_closed(configurations))]
    short = [stage for stage in stages if stage.verdict.code is not Limit.WITHIN_CAPACITY]
    if not short:
        return markdown("No bottleneck was found. Increase the ramp's final rate to find one.")
    if short[0].verdict.code in _NO_LIMIT_OF_THE_SERVICE:
        return markdown("The data do not show what limits the throughput.")
    return markdown("The verdict is {}.", _limit(short[0]))


def _capacities(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the results of several searches side by side."""
    capacities = [
        (title(configuration), search.rps)
        for configuration in configurations
        for search in configuration.capacity
        if search.rps is not None
    ]
    if len(capacities) < 2:
        return EMPTY
    highest = max(rate for _, rate in capacities)
    shares = []
    for name, rate in capacities:
        of_best = markdown(" ({:share} of the highest)", rate / highest) if 0 < rate < highest else EMPTY
        shares.append(markdown("{:rate} RPS in {}{}", rate, name, of_best))
    return markdown("The searches found these capacities: {}.", listed(shares))


def _none_sustained(configurations: Sequence[ConfigurationResults]) -> Markdown:
    stages = constant([stage for _, stage in every_stage(configurations)])
    ran = [stage for stage in believed(stages) if stage.actual_rps]
    if not ran:
        return markdown("No offered rate was sustained, so this run establishes no throughput.")
    best = max(ran, key=lambda stage: stage.actual_rps or 0.0)
    rates = (best.actual_rps, best.target_rps)
    highest = markdown("The highest achieved rate is **{:rate} RPS**, at a target of {:rate} RPS", *rates)
    if any(map(undecided, ran)):
        return markdown("The search found no capacity. {}.", highest)
    if best.verdict.code is Limit.WITHIN_CAPACITY:
        return markdown(
            "No rate met the search’s conditions. {}; the throughput itself was not limited.", highest
        )
    if best.verdict.code is Limit.UNDETERMINED:
        return markdown("No offered rate was sustained. {}; the data do not show what limits it.", highest)
    return markdown("No offered rate was sustained. {}; the verdict is {}.", highest, _limit(best))


def _open_question(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return what limits rates that were not sustained."""
    short = [(missed(configuration.stages), configuration) for configuration in configurations]
    first = [(stages[0], configuration) for stages, configuration in short if stages]
    if not first:
        return markdown("No bottleneck was found. Increase the offered rate to find one.")
    known = [pair for pair in first if pair[0].verdict.code not in _NO_LIMIT_OF_THE_SERVICE]
    where = _where(*(known or first)[0])
    if not known and any(stage.verdict.code is Limit.GENERATOR for stage, _ in first):
        return markdown("{}, the load generator is the limit; the service’s is unknown.", where)
    if not known and where == _ABOVE:
        return markdown("The data do not show what limits higher rates.")
    if not known:
        return markdown("{}, the data do not show what the limit is.", where)
    if len(configurations) == 1:
        return markdown("{}, the verdict is {}.", where, _limit(known[0][0]))
    by_limit: dict[Markdown, list[Markdown]] = {}
    for stage, one in known:
        by_limit.setdefault(_named(stage), []).append(markdown("{} ({})", title(one), _how_sure(stage)))
    limits = [markdown("{} in {}", limit, listed(places)) for limit, places in by_limit.items()]
    return markdown("Limits found: {}.", join("; ", limits))


def _where(stage: Stage, configuration: ConfigurationResults) -> Markdown:
    """Return where a stage was missed; its rate may be lower than one that the configuration sustained."""
    highest = max((good.rate for good in sustained(configuration.stages)), default=0.0)
    if stage.rate > highest:
        return _ABOVE
    return markdown("In another stage, at {:rate} RPS", stage.rate)


def _limit(stage: Stage) -> Markdown:
    """Return a limit, its cause where that is known, and how sure that is."""
    return markdown("{} ({})", _named(stage), _how_sure(stage))


def _how_sure(stage: Stage) -> str:
    return f"{stage.verdict.confidence}, at {levels(stage)}"


def _named(stage: Stage) -> Markdown:
    """Return a limit, and the cause that a counter-experiment confirmed."""
    verdict, proof = stage.verdict, stage.verdict.counter_experiment
    if proof and proof.answer is ProofAnswer.CONFIRMED and cpu_used_up(verdict.code, proof.cause):
        return markdown("{} because of {}", verdict.code, proof.cause)
    return markdown("{}", verdict.code)
