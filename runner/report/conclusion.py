"""What follows from all configurations: the highest sustained rate, and what is still open."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from runner.analyze.median_stage import MEDIAN
from runner.analyze.medians import of_medians
from runner.core.codes import Limit, Validity
from runner.core.judgements import ThresholdResult
from runner.core.metric import Dimension
from runner.core.metrics import metric_of
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import number_format, request_cost
from runner.report.doubts import short_reasons
from runner.report.generator_accuracy import disagreement
from runner.report.headline_stages import best_place, limited_place
from runner.report.markdown_text import EMPTY, Markdown, join, listed, markdown
from runner.report.metric_text import level_unit, levels
from runner.report.open_question import NO_LIMIT_OF_THE_SERVICE, named_limit, none_sustained, open_question
from runner.report.prose import title, until_failure
from runner.report.stage_choice import (
    constant,
    failed,
    measured,
    sustained,
)
from runner.report.without_constant_rate import (
    ramp_sentence,
    ramps_in,
    users_sentence,
    with_users,
)

NOTHING_MEASURED: Final = markdown("No stage was measured, so this run establishes nothing.")


def conclusion(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the highest sustained rate, what is still open, and whether the engines disagree."""
    parts = (_failures(configurations), _answer(configurations), disagreement(configurations))
    return join(" ", filter(None, parts))


def beside_headline(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return what the headline of a run leaves out: several capacities, and what the hops of a path cost.

    Also whether the engines disagree. Empty where there is nothing of it.
    """
    medians = tuple(map(of_medians, configurations))
    parts = (_capacities(medians), request_cost.answer(medians), disagreement(configurations))
    return join(" ", filter(None, parts))


def _failures(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the first failure of a system under test, and how many others there were."""
    broken = [(each, stage) for each in configurations for stage in failed(each.stages)]
    if not broken:
        return EMPTY
    configuration, stage = broken[0]
    name = markdown("**{}:** ", title(configuration)) if len(configurations) > 1 else EMPTY
    failure = markdown("{}{}", name, until_failure(stage))
    if len(broken) == 1:
        return failure
    return markdown("{} {} failed.", failure, number_format.plural(len(broken) - 1, "more stage"))


def _answer(whole: Sequence[ConfigurationResults]) -> Markdown:
    configurations = tuple(map(of_medians, whole))
    if not any(constant(configuration.stages) for configuration in configurations):
        return _without_constant_rate(configurations)
    good = [(sustained(configuration.stages), configuration) for configuration in configurations]
    best = [(stages[-1], configuration) for stages, configuration in good if stages]
    if not best and not any(measured(constant(one.stages)) for one in configurations):
        return NOTHING_MEASURED
    if not best:
        return none_sustained(configurations)
    units = dict.fromkeys(level_unit(stage) for stage, _ in best)
    reached = (
        _reached([pair for pair in best if level_unit(pair[0]) == unit], configurations, whole)
        for unit in units
    )
    rest = (
        _capacities(configurations),
        open_question(configurations),
        request_cost.answer(configurations),
    )
    return join(" ", filter(None, (*reached, *rest)))


def _reached(
    best: Sequence[tuple[Stage, ConfigurationResults]],
    configurations: Sequence[ConfigurationResults],
    whole: Sequence[ConfigurationResults],
) -> Markdown:
    """Return the highest of some sustained rates, all of requests or all of users, with its latency."""
    highest = max(stage.rate for stage, _ in best)
    equals = [pair for pair in best if pair[0].rate == highest]
    stage, where = min(equals, key=lambda pair: pair[0].response_time_ms.p95 or math.inf)
    name = title(where)
    if len(equals) > 1:
        name = f"{len(equals)} of {len(configurations)} configurations; fastest: {name}"
    reached = markdown(
        "The highest sustained rate is **{}**{}{}{}.",
        levels(stage),
        markdown(" ({})", name) if len(configurations) > 1 else EMPTY,
        _latencies(stage),
        _of_repeats(stage, whole[configurations.index(where)]),
    )
    if stage.validity.status is Validity.SUSPECT:
        why = "; ".join(short_reasons(stage))
        reached = markdown("{} This stage is **suspect**: {}.", reached, why)
    return reached


def _latencies(stage: Stage) -> Markdown:
    """Return the latencies that a search had conditions on, else the p95 response time; empty without any."""
    known = list(filter(None, map(_criterion, stage.find.conditions if stage.find else ())))
    p95 = stage.response_time_ms.p95
    if not known and stage.scenarios and stage.scenario_duration_ms.p95:
        return markdown(" with a p95 scenario duration of {:ms} ms", stage.scenario_duration_ms.p95)
    if not known and p95:
        of_all = markdown(" over all requests") if len(stage.request_parts) > 1 else EMPTY
        known = [markdown("a p95 response time of {:ms} ms{}", p95, of_all)]
    return markdown(" with {}", listed(known)) if known else EMPTY


def _criterion(condition: ThresholdResult) -> Markdown:
    """Return the value of a search's condition with its bound; empty if it is not about a latency."""
    metric = metric_of(condition.expr)
    if metric is None or metric.dimension is not Dimension.TIME or condition.value is None:
        return EMPTY
    bound = re.sub("^[^<>]*", "", condition.expr)
    request = EMPTY if condition.request is UNSET else markdown(" of {}", condition.request)
    article = "an" if metric.phrase.startswith("average") else "a"
    return markdown(
        "{} {}{} of {:ms} ms (required: {})", article, metric.phrase, request, condition.value, bound
    )


def _of_repeats(stage: Stage, configuration: ConfigurationResults) -> Markdown:
    """Return of how many repeats a stage is the median, and how far apart they are; empty without any."""
    searches = [
        search for search in configuration.capacity if stage.find and search.stage == stage.find.stage
    ]
    if len(searches) > 1:
        rates = [search.shown_rps or 0.0 for search in searches]
        return markdown(
            " (median of {} searches, {:rate} to {:rate} {})",
            *(len(rates), min(rates), max(rates), searches[0].unit),
        )
    if stage.repeat != MEDIAN:
        return EMPTY
    group = next((group for group in configuration.repeats if group.stage == stage.name), None)
    if group is None:  # results that were edited
        return EMPTY
    timed_by_run = stage.scenarios and stage.scenario_duration_ms.p95
    p95 = group.metrics.get("scenario_duration_ms.p95" if timed_by_run else "response_time_ms.p95")
    count = markdown("median of {} repeats", group.n)
    if p95 is None or p95.low is None:
        return markdown(" ({})", count)
    high = markdown("∞") if p95.high is None else markdown("{:ms} ms", p95.high)
    return markdown(" ({}; 95 % interval {:ms} to {})", count, p95.low, high)


def _without_constant_rate(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return where each ramp passed its first threshold, and what limited the first that reached a limit."""
    several = len(configurations) > 1
    known = [ramp_sentence(each, stage, several=several) for each, stage in ramps_in(configurations)]
    known += [users_sentence(each, stage, several=several) for each, stage in with_users(configurations)]
    if not known:
        return NOTHING_MEASURED
    return join(" ", (*known, _limit_of_ramps(configurations)))


def _limit_of_ramps(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return what limited the ramp or the users that the headline is about."""
    best, _ = best_place(configurations)
    limited = limited_place(best, configurations).stage if best else None
    if limited is None or limited.verdict.code is Limit.WITHIN_CAPACITY:
        return markdown("No bottleneck was found. Increase the ramp's final rate to find one.")
    if limited.verdict.code in NO_LIMIT_OF_THE_SERVICE:
        return markdown("The data do not show what limits the throughput.")
    return markdown("The verdict is {}.", named_limit(limited))


def _capacities(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the results of several searches side by side."""
    known = [
        (title(configuration), search, rate)
        for configuration in configurations
        for search in configuration.capacity
        if (rate := search.shown_rps) is not None
    ]
    if len(known) < 2:
        return EMPTY
    highest = max(rate for _, _, rate in known)
    is_exact = all(search.rps is not None for _, search, _ in known)
    shares = []
    for name, search, rate in known:
        share = is_exact and 0 < rate < highest
        of_best = markdown(" ({:share} of the highest)", rate / highest) if share else EMPTY
        least = "" if search.rps is not None else "at least "
        shares.append(markdown("{}{:rate} {} in {}{}", least, rate, search.unit, name, of_best))
    return markdown("The searches found these capacities: {}.", listed(shares))
