"""report.md: objective, results and analysis by configuration, conclusion, and the evidence as appendix."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.medians import of_medians
from runner.core import ci_commands
from runner.core.load_results import LoadSummary
from runner.core.observed_results import StageEvent
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.report import (
    capacity,
    conclusion,
    counter_tables,
    generator_accuracy,
    hooks,
    markdown_text,
    nodes,
    number_format,
    programs,
    prose,
    ramps,
    request_cost,
    request_tables,
    response_tables,
    scenario_tables,
    tables,
)
from runner.report.charts.why import picture_of
from runner.report.counter_experiments import counter_experiments
from runner.report.final_paragraphs import final
from runner.report.headline import Headline, headline
from runner.report.limit_text import hypothesis
from runner.report.markdown_text import (
    EMPTY,
    Markdown,
    Section,
    block,
    code,
    escape,
    join,
    markdown,
    paragraphs,
    table,
)
from runner.report.metric_text import glossary, levels
from runner.report.network_path import network_path
from runner.report.repeats import repeats
from runner.report.replica_table import replicas
from runner.report.system_table import system_table
from runner.report.system_text import described, trust
from runner.report.threshold_lines import threshold_lines
from runner.report.traffic_table import traffic_table
from runner.template_cache import TemplateCache

_environment: Final = Environment(  # noqa: S701  (Markdown: `finalize` escapes what is not marked as such)
    loader=PackageLoader("runner.report"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    finalize=escape,
    bytecode_cache=TemplateCache((markdown_text.__file__, ci_commands.__file__)),
)


def render_markdown(
    results: Results,
    *,
    pictures: Mapping[str, Sequence[object]] | None = None,
    without_first_lines: bool = False,
) -> str:
    """Return the report of a run. The same results always give the same text.

    Args:
        results: The content of results.json.
        without_first_lines: Leave out the title, the verdict and its figures, which a page has already.
        pictures: Charts that lie beside the report: name to a sequence that begins with its description
            for people who cannot see it.
    """
    whole = results.configurations
    configurations = tuple(capacity.shown(configuration) for configuration in whole)
    medians = tuple(map(of_medians, configurations))
    ladders = request_cost.ladders(replace(results, configurations=configurations))
    first = picture_of(results, pictures or {})
    return _environment.get_template("report.md.j2").render(
        title=results.experiment.title,
        head=None if without_first_lines else _head(results, pictures or {}),
        objective=paragraphs(results.experiment.objective),
        aborted=prose.aborted(results.run),
        sections=[_section(configuration) for configuration in configurations],
        pictures=[_picture(name, str(chart[0])) for name, chart in (pictures or {}).items() if name != first],
        curves_over_time=tables.over_time(configurations),
        comparison=tables.comparison(medians),
        ladders=ladders,
        curves=capacity.curves(results),
        final=final(configurations, compared=not ladders),
        conclusion=conclusion.conclusion(configurations),
        **_appendix(results, configurations),
    )


def _head(results: Results, pictures: Mapping[str, Sequence[object]]) -> dict[str, object]:
    """Return the variables of the first lines: the verdict, its figures, and the picture that shows why."""
    head, first = headline(results), picture_of(results, pictures)
    return {
        "sentence": head.sentence,
        "figures": _figures_by_configuration(head) if head.configuration else _figures(head),
        "doubt": head.doubt,
        "picture": _picture(first, str(pictures[first][0])) if first else EMPTY,
    }


def _figures(head: Headline) -> Markdown:
    """Return the figures of the first lines beside each other."""
    differs = head.stage and head.cpu and levels(head.stage) != head.cpu.at
    where = f" {head.where}" if differs else ""
    figures = {
        head.rate_title: head.rate_text,
        f"{head.p95_title}{where}": head.p95_text,
        f"{head.errors_title}{where}": head.errors_text,
    }
    if head.cpu:
        figures[f"{head.cpu.name} {head.limited_where}"] = head.cpu.text
    return table(list(figures), [list(figures.values())], figures=False)


def _figures_by_configuration(head: Headline) -> Markdown:
    """Return the figures of the first lines below each other, each with the configuration that it is of."""
    best = f"{head.configuration}, {head.where}"
    rows = [
        [head.rate_title, head.rate_text, head.configuration],
        [head.p95_title, head.p95_text, best],
        [head.errors_title, head.errors_text, best],
    ]
    if head.cpu:
        rows.append([head.cpu.name, head.cpu.text, f"{head.limited_configuration}, {head.limited_where}"])
    return table(["Figure", "Value", "Configuration"], rows, figures=False)


def _appendix(results: Results, configurations: Sequence[ConfigurationResults]) -> dict[str, object]:
    """Return the variables of the appendix: how the run was made, and the evidence."""
    whole = results.configurations
    return {
        "rerun": block([results.run.command]),
        "spec_sha256": code(results.experiment.spec_sha256),
        "files_outside": join(", ", [code(path) for path in results.run.files_outside or ()]),
        "files_with_secrets": join(", ", [code(name) for name in results.run.files_with_secrets or ()]),
        "overrides": [code(override) for override in results.run.overrides],
        "environment": tables.environment(results.environment),
        "systems": _by_configuration(configurations, lambda shown: system_table(shown.topology)),
        "scenarios": _by_configuration(
            configurations, lambda shown: scenario_tables.scenario_mix(shown.load)
        ),
        "scenario_outcomes": scenario_tables.scenario_outcomes(whole),
        "mixes": _by_configuration(configurations, lambda shown: request_tables.mix(shown.load)),
        "variables": _by_configuration(configurations, lambda shown: request_tables.variables(shown.load)),
        "hooks": _by_configuration(configurations, lambda shown: hooks.hook_table(shown.hooks or ())),
        "method": dict.fromkeys(line for configuration in whole for line in _method(configuration)),
        "baselines": generator_accuracy.baselines(configurations),
        "outcomes": tables.outcomes(whole),
        "counters": _by_configuration(configurations, counter_tables.changed_counters),
        "late_counters": counter_tables.any_late(configurations),
        "not_readable": counter_tables.not_readable(configurations),
        "events": [
            {"line": _event(configuration, stage, event), "log": block(event.log) if event.log else ""}
            for configuration, stage in tables.every_stage(whole)
            for event in stage.events
        ],
        "glossary": glossary(scenarios=any(stage.scenarios for _, stage in tables.every_stage(whole))),
    }


def _picture(name: str, description: str) -> Markdown:
    """HTML that shows the light or the dark chart; every value in it is escaped for an attribute."""
    file, alt = html.escape(name), html.escape(" ".join(description.split()))
    return Markdown(
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="charts/{file}-dark.svg">'
        f'<img alt="{alt}" src="charts/{file}-light.svg"></picture>'
    )


def _section(configuration: ConfigurationResults) -> dict[str, object]:
    """Return the variables of one configuration's section; the template leaves out what is empty."""
    stages = configuration.stages
    warnings = (*trust(configuration), *prose.warnings(stages), *hooks.failed_tear_down(configuration))
    return {
        "heading": prose.title(configuration),
        "described": described(configuration),
        "warnings": join("\n>\n", (markdown("> {}", warning) for warning in warnings)),
        "details": tables.details(stages),
        "cpu": tables.cpu_by_role(stages),
        "traffic": traffic_table(stages),
        "has_components": _has_components(stages),
        "nodes": nodes.cpu_by_node(stages),
        "more_nodes": nodes.left_out(stages),
        "node_loads": nodes.load_by_node(stages),
        "beyond_one_node": nodes.beyond_one_node(stages),
        "path": network_path(configuration),
        "memory": tables.memory_by_role(stages),
        "programs": programs.programs_outside(stages),
        "offers": programs.offers(stages),
        "replicas": replicas(stages),
        "ramps": ramps.sections(stages),
        "scenarios": scenario_tables.results_by_scenario(stages),
        "steps": scenario_tables.steps(stages),
        "requests": request_tables.results_by_request(stages),
        "failures": request_tables.failures_by_request(stages),
        "failed_responses": response_tables.failed_responses(stages, _paths(configuration.load)),
        "repeats": repeats(configuration),
        "thresholds": [line.markdown for line in threshold_lines([configuration])],
        "threshold_repeats": tables.threshold_repeats(configuration),
        "searches": capacity.searches(configuration),
        "cross_check": generator_accuracy.cross_check(configuration),
        "analysis": [*prose.analysis(of_medians(configuration).stages), *hypothesis(configuration)],
        "counter_experiments": counter_experiments(configuration),
    }


def _has_components(stages: Sequence[Stage]) -> bool:
    """Return whether something was observed of the components, so that they have a part of the report."""
    return any(stage.cpu_cores or stage.memory_mib or stage.programs for stage in stages)


def _by_configuration(
    configurations: Sequence[ConfigurationResults], make: Callable[[ConfigurationResults], Markdown]
) -> list[Section]:
    """Return the tables that are not empty, each below the title of its configuration."""
    made = [Section(heading=prose.title(shown), table=make(shown)) for shown in configurations]
    return [section for section in made if section.table]


def _method(configuration: ConfigurationResults) -> Iterator[Markdown]:
    """Yield how the numbers came about."""
    stages = configuration.stages
    workers = [stage.workers for stage in stages if stage.workers]
    yield markdown(
        "{}: engine {}{}; {}.",
        prose.title(configuration),
        configuration.engine,
        f", {number_format.plural(max(workers), 'worker')}{_on_nodes(stages)}" if workers else "",
        _load(configuration.load, stages),
    )
    yield from _clocks(stages)
    yield from prose.notes(stages)


def _on_nodes(stages: Sequence[Stage]) -> str:
    made_load = nodes.load_nodes(stages)
    return f" on {number_format.plural(len(made_load), 'node')}" if made_load else ""


def _load(load: LoadSummary, stages: Sequence[Stage]) -> Markdown:
    """Return how requests were sent; users send the next one when they have a response."""
    if stages and all(stage.users is not None for stage in stages):
        timeout = number_format.seconds(load.timeout_s)
        return markdown("closed model, timeout {}; {}", timeout, _requests(load))
    what = "requests in flight" if load.scenarios is UNSET else "users at once"
    return markdown(
        "{} arrivals, at most {:,} {} (then {}), timeout {}; {}",
        *(load.arrivals, load.max_in_flight, what, load.when_full, number_format.seconds(load.timeout_s)),
        _requests(load),
    )


def _paths(load: LoadSummary) -> dict[str, str]:
    return {request.name: request.path for request in load.requests or ()} | dict(scenario_tables.paths(load))


def _requests(load: LoadSummary) -> Markdown:
    """Return what was sent: method and path; of a mix, how many requests it has."""
    if load.request:
        return markdown("{} {}", load.request.method, code(load.request.path))
    if load.scenarios is not UNSET:
        return markdown("{}", number_format.plural(len(load.scenarios), "scenario"))
    return markdown("a mix of {}", number_format.plural(len(load.requests or ()), "request"))


def _clocks(stages: Sequence[Stage]) -> Iterator[Markdown]:
    known = [(stage, stage.clock) for stage in stages if stage.clock]
    if len({clock for _, clock in known}) == 1:
        yield markdown("Clock: {}.", known[0][1])
    else:
        yield from (markdown("{}, clock: {}.", stage.title, clock) for stage, clock in known)


def _event(configuration: ConfigurationResults, stage: Stage, event: StageEvent) -> Markdown:
    when = "" if event.t_s is None else f", {event.t_s:.1f} s into the measured window"
    return markdown("{}, {}{}: {}.", prose.title(configuration), stage.title, when, event.message)
