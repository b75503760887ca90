"""report.md: objective, results and analysis by configuration, conclusion, and the evidence as appendix."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from msgspec.structs import replace

from runner.core.results import ConfigurationResults, LoadSummary, Results, Stage, StageEvent
from runner.report import (
    capacity,
    conclusion,
    counter_tables,
    generator_accuracy,
    number_format,
    prose,
    request_cost,
    scaling,
    tables,
)
from runner.report.counter_experiments import counter_experiments
from runner.report.markdown_text import EMPTY, Markdown, block, code, escape, join, markdown, paragraphs
from runner.report.metric_text import glossary
from runner.report.repeats import repeats
from runner.report.section import Section
from runner.report.system_table import system_table

_environment: Final = Environment(  # noqa: S701  (Markdown: `finalize` escapes what is not marked as such)
    loader=PackageLoader("runner.report"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    finalize=escape,
)


@dataclass(frozen=True, slots=True)
class _Results:
    """The section of one configuration; what is empty is left out."""

    heading: str
    described: Markdown
    warnings: Markdown
    details: Markdown
    cpu: Markdown
    replicas: Markdown
    repeats: Section | None
    thresholds: Markdown
    searches: Sequence[Section]
    cross_check: Section | None
    analysis: Sequence[Markdown]
    counter_experiments: Section | None


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that happened, and the log that explains it."""

    line: Markdown
    log: Markdown


def render_markdown(results: Results, *, pictures: Mapping[str, Sequence[object]] | None = None) -> str:
    """Return the report of a run. The same results always give the same text.

    Args:
        results: The content of results.json.
        pictures: Charts that lie beside the report: name to a sequence that begins with its description
            for people who cannot see it.
    """
    whole = results.configurations
    configurations = tuple(capacity.shown(configuration) for configuration in whole)
    ladders = request_cost.ladders(replace(results, configurations=configurations))
    return _environment.get_template("report.md.j2").render(
        title=results.experiment.title,
        objective=paragraphs(results.experiment.objective),
        aborted=prose.aborted(results.run),
        sections=[_section(configuration) for configuration in configurations],
        pictures=[_picture(name, str(chart[0])) for name, chart in (pictures or {}).items()],
        curves_over_time=tables.over_time(configurations),
        comparison=tables.comparison(configurations) if len(configurations) > 1 else EMPTY,
        ladders=ladders,
        curves=scaling.curves(results),
        final=conclusion.final(configurations, compared=not ladders),
        conclusion=conclusion.conclusion(configurations),
        rerun=block([results.run.command]),
        spec_sha256=code(results.experiment.spec_sha256),
        overrides=[code(override) for override in results.run.overrides],
        environment=tables.environment(results.environment),
        systems=_by_configuration(
            configurations, [system_table(configuration.topology) for configuration in configurations]
        ),
        method=_method(whole),
        baselines=generator_accuracy.baselines(configurations),
        outcomes=tables.outcomes(whole),
        counters=_by_configuration(
            configurations, [counter_tables.changed_counters(each) for each in configurations]
        ),
        not_readable=counter_tables.not_readable(configurations),
        events=list(_events(whole)),
        glossary=glossary(),
    )


def _picture(name: str, description: str) -> Markdown:
    """HTML that shows the light or the dark chart; every value in it is escaped for an attribute."""
    file, alt = html.escape(name), html.escape(" ".join(description.split()))
    return Markdown(
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="charts/{file}-dark.svg">'
        f'<img alt="{alt}" src="charts/{file}-light.svg"></picture>'
    )


def _section(configuration: ConfigurationResults) -> _Results:
    stages = configuration.stages
    warnings = (*prose.trust(configuration), *prose.warnings(stages))
    return _Results(
        heading=prose.title(configuration),
        described=prose.described(configuration),
        warnings=join("\n>\n", (markdown("> {}", warning) for warning in warnings)),
        details=tables.details(stages),
        cpu=tables.cpu_by_role(stages),
        replicas=tables.replicas(stages),
        repeats=repeats(configuration),
        thresholds=tables.thresholds(stages),
        searches=capacity.searches(configuration),
        cross_check=generator_accuracy.cross_check(configuration),
        analysis=[*prose.analysis(stages), *prose.hypothesis(configuration)],
        counter_experiments=counter_experiments(configuration),
    )


def _by_configuration(
    configurations: Sequence[ConfigurationResults], made: Sequence[Markdown]
) -> list[Section]:
    """Return the tables that are not empty, each below the title of its configuration."""
    return [
        Section(heading=prose.title(configuration), table=table)
        for configuration, table in zip(configurations, made, strict=True)
        if table
    ]


def _method(configurations: Sequence[ConfigurationResults]) -> list[Markdown]:
    """Return how the numbers came about, each fact once."""
    lines = (line for configuration in configurations for line in _method_of(configuration))
    return list(dict.fromkeys(lines))


def _method_of(configuration: ConfigurationResults) -> Iterator[Markdown]:
    stages = configuration.stages
    workers = [stage.workers for stage in stages if stage.workers]
    yield markdown(
        "{}: engine {}{}; {}.",
        prose.title(configuration),
        configuration.engine,
        f", {number_format.plural(max(workers), 'worker')}" if workers else "",
        _load(configuration.load),
    )
    yield from _clocks(stages)
    for stage in stages:
        yield from (markdown("{}: {}.", stage.title, note) for note in stage.notes)


def _load(load: LoadSummary) -> Markdown:
    return markdown(
        "{} arrivals, at most {:,} requests in flight (then {}), timeout {}; {} {}",
        load.arrivals,
        load.max_in_flight,
        load.when_full,
        number_format.seconds(load.timeout_s),
        load.request.method,
        code(load.request.path),
    )


def _clocks(stages: Sequence[Stage]) -> Iterator[Markdown]:
    known = [(stage, stage.clock) for stage in stages if stage.clock]
    if len({clock for _, clock in known}) == 1:
        yield markdown("Clock: {}.", known[0][1])
    else:
        yield from (markdown("{}, clock: {}.", stage.title, clock) for stage, clock in known)


def _events(configurations: Sequence[ConfigurationResults]) -> Iterator[_Event]:
    for configuration in configurations:
        for stage in configuration.stages:
            for event in stage.events:
                log = block(event.log) if event.log else EMPTY
                yield _Event(_event_line(prose.title(configuration), stage, event), log)


def _event_line(configuration: str, stage: Stage, event: StageEvent) -> Markdown:
    when = "" if event.t_s is None else f", {event.t_s:.1f} s into the measured window"
    return markdown("{}, {}{}: {}.", configuration, stage.title, when, event.message)
