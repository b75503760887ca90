"""report.md: the shape of the report that started this project, with the evidence it lacked."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

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
from runner.report.counter_experiments import proofs
from runner.report.markdown_text import block, code, escape, paragraphs
from runner.report.repeats import repeats
from runner.report.system_table import built

Configuration = Mapping[str, Any]

_environment = Environment(  # noqa: S701  (Markdown; all text from outside goes through runner.report.markdown_text)
    loader=PackageLoader("runner.report"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)


def render_markdown(
    results: Mapping[str, Any], *, pictures: Mapping[str, Sequence[Any]] | None = None
) -> str:
    """The report of a run.

    Args:
        results: The content of results.json. The same content always gives the same text.
        pictures: Charts that lie beside it: name to its words, for who cannot see it, and more.
    """
    whole = results["configurations"]
    configurations = [capacity.shown(each) for each in whole]
    several = len(configurations) > 1 or sum(len(each["stages"]) for each in configurations) > 1
    ladders = request_cost.ladders({**results, "configurations": configurations})
    return _environment.get_template("report.md.j2").render(
        title=escape(results["experiment"]["title"]),
        objective=paragraphs(results["experiment"]["objective"]),
        aborted=prose.aborted(results["run"]),
        sections=[_section(each) for each in configurations],
        pictures=[_picture(name, each[0]) for name, each in (pictures or {}).items()],
        curves_over_time=tables.over_time(configurations),
        comparison=tables.comparison(configurations) if several and len(configurations) > 1 else "",
        ladders=ladders,
        curves=scaling.curves(results),
        final=conclusion.final(configurations, compared=not ladders),
        conclusion=conclusion.conclusion(configurations),
        again=block([results["run"]["command"]]),
        spec_sha256=results["experiment"]["spec_sha256"],
        overrides=[code(each) for each in results["run"]["overrides"]],
        environment=tables.environment(results["environment"]),
        built=_built(configurations),
        measured=_measured(whole),
        calibrations=generator_accuracy.calibrations(configurations),
        failures=tables.failures(whole),
        counters=_counters(configurations),
        not_readable=counter_tables.not_readable(configurations),
        events=_events(whole),
    )


def _picture(name: str, words: str) -> str:
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="charts/{name}-dark.svg">'
        f'<img alt="{html.escape(words)}" src="charts/{name}-light.svg"></picture>'
    )


def _section(configuration: Configuration) -> dict[str, Any]:
    stages = configuration["stages"]
    return {
        "heading": prose.heading(configuration),
        "described": prose.described(configuration),
        "warnings": "\n>\n".join(
            f"> {warning}" for warning in (*prose.trust(configuration), *prose.warnings(stages))
        ),
        "details": tables.details(stages),
        "ledger": tables.ledger(stages),
        "replicas": tables.replicas(stages),
        "thresholds": tables.thresholds(stages),
        "searches": capacity.searches(configuration),
        "proofs": proofs(configuration),
        "repeats": repeats(configuration),
        "cross_check": generator_accuracy.cross_check(configuration),
        "analysis": [*prose.analysis(stages), *prose.hypothesis(configuration)],
    }


def _counters(configurations: Sequence[Configuration]) -> list[dict[str, str]]:
    found = [(prose.heading(each), counter_tables.moved(each)) for each in configurations]
    return [{"heading": heading, "table": moved} for heading, moved in found if moved]


def _built(configurations: Sequence[Configuration]) -> list[dict[str, str]]:
    found = [(prose.heading(each), built(each["topology"])) for each in configurations]
    return [{"heading": heading, "parts": parts} for heading, parts in found if parts]


def _measured(configurations: Sequence[Configuration]) -> list[str]:
    """How the numbers came about, each fact once."""
    lines = []
    for configuration in configurations:
        load, stages = configuration["load"], configuration["stages"]
        workers = [stage["workers"] for stage in stages if stage["workers"]]
        lines.append(
            f"{prose.heading(configuration)}: engine {configuration['engine']}"
            + (f", {number_format.plural(max(workers), 'worker')}" if workers else "")
            + f"; {load['arrivals']} arrivals, at most {load['max_in_flight']:,} requests in flight "
            f"(then {load['when_full']}), time-out {number_format.seconds(load['timeout_s'])}; "
            f"{escape(load['request']['method'])} {code(load['request']['path'])}."
        )
        clocks = dict.fromkeys(stage["clock"] for stage in stages if stage["clock"])
        if len(clocks) == 1:
            lines += [f"Clock: {escape(clock)}." for clock in clocks]
        else:
            lines += [
                f"{prose.stage_name(stage)}, clock: {escape(stage['clock'])}."
                for stage in stages
                if stage["clock"]
            ]
        for stage in stages:
            lines += [f"{prose.stage_name(stage)}: {escape(note)}." for note in stage["notes"]]
    return list(dict.fromkeys(lines))


def _events(configurations: Sequence[Configuration]) -> list[dict[str, str]]:
    return [
        {"line": _event_line(configuration, stage, event), "log": block(event["log"]) if event["log"] else ""}
        for configuration in configurations
        for stage in configuration["stages"]
        for event in stage["events"]
    ]


def _event_line(configuration: Configuration, stage: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    when = f", {event['t_s']:.1f} s into the measured window" if event["t_s"] is not None else ""
    return f"{prose.heading(configuration)}, {prose.stage_name(stage)}{when}: {escape(event['message'])}."
