"""What a conclusion says of rates that were not sustained: the highest throughput, and what limits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.core.codes import Limit, ProofAnswer, StageStatus, cpu_used_up
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report.capacity import shown
from runner.report.headline_stages import best_place, limited_place
from runner.report.markdown_text import EMPTY, Markdown, join, listed, markdown
from runner.report.metric_text import levels
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
from runner.report.tables import every_stage
from runner.report.without_constant_rate import level_phrase, throughput_of

NO_LIMIT_OF_THE_SERVICE: Final = frozenset({Limit.UNDETERMINED, Limit.GENERATOR, Limit.WITHIN_CAPACITY})
_ABOVE: Final = markdown("Above that rate")


def none_sustained(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return the highest throughput of a run that sustained no rate, and what limits it."""
    offered = constant(_stages(configurations))
    ran = [stage for stage in believed(offered) if stage.actual_rps]
    is_unknown = any(cut_short(stage) or says_nothing(stage) for stage in measured(offered))
    none = f"No offered rate was {'shown to be ' if is_unknown else ''}sustained"
    known = [shown(configuration) for configuration in configurations]
    best, _ = best_place(known)
    if best is None or not best.stage.actual_rps or not believed([best.stage]):
        return markdown("{}, so this run establishes no throughput.", none)
    if ran and all(stage.status is StageStatus.ABORTED for stage in ran):
        return markdown("No stage ran to its end, so this run does not show whether a rate is sustained.")
    highest = _highest(best.stage)
    if any(map(undecided, ran)):
        return markdown("The search found no capacity. {}.", highest)
    judged = best.stage if constant([best.stage]) else limited_place(best, known).stage
    if cut_short(judged):
        return markdown("{}. {}, in a stage that was aborted before its end.", none, highest)
    if judged.verdict.code is Limit.WITHIN_CAPACITY:
        none = "No rate met the search’s conditions" if judged.find else f"{none}: thresholds failed"
    return markdown("{}. {}; {}.", none, highest, _cause(judged))


def _cause(stage: Stage) -> Markdown:
    """Return what limits a stage, as the end of a sentence."""
    if stage.verdict.code is Limit.WITHIN_CAPACITY:
        return markdown("the throughput itself was not limited")
    if stage.verdict.code is Limit.UNDETERMINED:
        return markdown("the data do not show what limits it")
    return markdown("the verdict is {}", named_limit(stage))


def _highest(stage: Stage) -> Markdown:
    """Return the highest throughput, and at what level that was."""
    if not constant([stage]):
        where = level_phrase(stage)
        return markdown("The highest throughput is **{}**, {}", throughput_of(stage), where)
    if stage.scenarios:
        reached = throughput_of(stage)
        return markdown("The highest throughput is **{}**, at a target of {}", reached, levels(stage))
    rates = (stage.actual_rps, stage.target_rps)
    return markdown("The highest achieved rate is **{:rate} RPS**, at a target of {:rate} RPS", *rates)


def _stages(configurations: Sequence[ConfigurationResults]) -> list[Stage]:
    return [stage for _, stage in every_stage(configurations)]


def open_question(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return what limits rates that were not sustained."""
    short = [(missed(configuration.stages), configuration) for configuration in configurations]
    first = [(stages[0], configuration) for stages, configuration in short if stages]
    if not first:
        return _beside_rates(configurations)
    known = [pair for pair in first if pair[0].verdict.code not in NO_LIMIT_OF_THE_SERVICE]
    if not known:
        return _without_limit([stage for stage, _ in first], _where(*first[0]))
    if len(configurations) == 1:
        return markdown("{}, the verdict is {}.", _where(*known[0]), named_limit(known[0][0]))
    by_limit: dict[Markdown, list[Markdown]] = {}
    for stage, one in known:
        by_limit.setdefault(_named(stage), []).append(markdown("{} ({})", title(one), _how_sure(stage)))
    limits = [markdown("{} in {}", limit, listed(places)) for limit, places in by_limit.items()]
    return markdown("Limits found: {}.", join("; ", limits))


def _beside_rates(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return what ramps and users reached beside rates that were all sustained."""
    short = [(limited_beside_rates(one.stages), one) for one in configurations]
    first = [(stages[0], one) for stages, one in short if stages]
    if not first:
        return markdown("No bottleneck was found. Increase the offered rate to find one.")
    stage, one = next(
        (pair for pair in first if pair[0].verdict.code not in NO_LIMIT_OF_THE_SERVICE), first[0]
    )
    phrase = level_phrase(stage)
    where = f"In {title(one)} {phrase}" if len(configurations) > 1 else f"{phrase[:1].upper()}{phrase[1:]}"
    if stage.verdict.code in NO_LIMIT_OF_THE_SERVICE:
        return markdown("{}, the data do not show what the limit is.", where)
    return markdown("{}, the verdict is {} ({}).", where, _named(stage), stage.verdict.confidence)


def _without_limit(stages: Sequence[Stage], where: Markdown) -> Markdown:
    """Return why the stages that were missed show no limit of the service."""
    if any(stage.verdict.code is Limit.GENERATOR for stage in stages):
        lost = any(node.load and node.load.lost for stage in stages for node in stage.nodes)
        what = "a load generator was lost" if lost else "the load generator is the limit"
        limit = markdown(" limit") if lost else EMPTY
        return markdown("{}, {}; the service’s{} is unknown.", where, what, limit)
    if cut_short(stages[0]):
        at = levels(stages[0])
        return markdown("The stage at {} was aborted, so it is unknown whether that rate is sustained.", at)
    if where == _ABOVE:
        return markdown("The data do not show what limits higher rates.")
    return markdown("{}, the data do not show what the limit is.", where)


def _where(stage: Stage, configuration: ConfigurationResults) -> Markdown:
    """Return where a stage was missed; its rate may be lower than one that the configuration sustained."""
    highest = max((good.rate for good in sustained(configuration.stages)), default=0.0)
    if stage.rate > highest:
        return _ABOVE
    return markdown("In another stage, at {}", levels(stage))


def named_limit(stage: Stage) -> Markdown:
    """Return a limit, its cause where that is known, and how sure that is."""
    return markdown("{} ({})", _named(stage), _how_sure(stage))


def _how_sure(stage: Stage) -> str:
    return f"{stage.verdict.confidence}, at {levels(stage)}"


def _named(stage: Stage) -> Markdown:
    """Return a limit, and the cause that a counter-experiment confirmed."""
    verdict, proof = stage.verdict, stage.verdict.counter_experiment
    if proof and proof.answer is ProofAnswer.CONFIRMED and cpu_used_up(verdict.code, proof.cause):
        return markdown("{} because of {}", verdict.name, proof.cause)
    return markdown("{}", verdict.name)
