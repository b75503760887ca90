"""report.md: the shape of the report that started this project, with the evidence it lacked."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from runner.report import capacity, closing, evidence, instrument, numbers, prices, scaling, tables, words
from runner.report.built import built
from runner.report.markup import block, code, escape, paragraphs
from runner.report.proofs import proofs
from runner.report.repeats import repeats

Configuration = Mapping[str, Any]

_environment = Environment(  # noqa: S701  (Markdown; all text from outside goes through runner.report.markup)
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
    ladders = prices.ladders({**results, "configurations": configurations})
    return _environment.get_template("report.md.j2").render(
        title=escape(results["experiment"]["title"]),
        objective=paragraphs(results["experiment"]["objective"]),
        aborted=words.aborted(results["run"]),
        sections=[_section(each) for each in configurations],
        pictures=[_picture(name, each[0]) for name, each in (pictures or {}).items()],
        curves_over_time=tables.over_time(configurations),
        comparison=tables.comparison(configurations) if several and len(configurations) > 1 else "",
        ladders=ladders,
        curves=scaling.curves(results),
        final=closing.final(configurations, compared=not ladders),
        conclusion=closing.conclusion(configurations),
        again=block([results["run"]["command"]]),
        spec_sha256=results["experiment"]["spec_sha256"],
        overrides=[code(each) for each in results["run"]["overrides"]],
        environment=tables.environment(results["environment"]),
        built=_built(configurations),
        measured=_measured(whole),
        calibrations=instrument.calibrations(configurations),
        failures=tables.failures(whole),
        counters=_counters(configurations),
        not_readable=evidence.not_readable(configurations),
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
        "heading": words.heading(configuration),
        "described": words.described(configuration),
        "warnings": "\n>\n".join(
            f"> {warning}" for warning in (*words.trust(configuration), *words.warnings(stages))
        ),
        "details": tables.details(stages),
        "ledger": tables.ledger(stages),
        "replicas": tables.replicas(stages),
        "thresholds": tables.thresholds(stages),
        "searches": capacity.searches(configuration),
        "proofs": proofs(configuration),
        "repeats": repeats(configuration),
        "cross_check": instrument.cross_check(configuration),
        "analysis": [*words.analysis(stages), *words.hypothesis(configuration)],
    }


def _counters(configurations: Sequence[Configuration]) -> list[dict[str, str]]:
    found = [(words.heading(each), evidence.moved(each)) for each in configurations]
    return [{"heading": heading, "table": moved} for heading, moved in found if moved]


def _built(configurations: Sequence[Configuration]) -> list[dict[str, str]]:
    found = [(words.heading(each), built(each["topology"])) for each in configurations]
    return [{"heading": heading, "parts": parts} for heading, parts in found if parts]


def _measured(configurations: Sequence[Configuration]) -> list[str]:
    """How the numbers came about, each fact once."""
    lines = []
    for configuration in configurations:
        load, stages = configuration["load"], configuration["stages"]
        workers = [stage["workers"] for stage in stages if stage["workers"]]
        lines.append(
            f"{words.heading(configuration)}: engine {configuration['engine']}"
            + (f", {numbers.plural(max(workers), 'worker')}" if workers else "")
            + f"; {load['arrivals']} arrivals, at most {load['max_in_flight']:,} requests in flight "
            f"(then {load['when_full']}), time-out {numbers.seconds(load['timeout_s'])}; "
            f"{escape(load['request']['method'])} {code(load['request']['path'])}."
        )
        clocks = dict.fromkeys(stage["clock"] for stage in stages if stage["clock"])
        if len(clocks) == 1:
            lines += [f"Clock: {escape(clock)}." for clock in clocks]
        else:
            lines += [
                f"{words.stage_name(stage)}, clock: {escape(stage['clock'])}."
                for stage in stages
                if stage["clock"]
            ]
        for stage in stages:
            lines += [f"{words.stage_name(stage)}: {escape(note)}." for note in stage["notes"]]
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
    return f"{words.heading(configuration)}, {words.stage_name(stage)}{when}: {escape(event['message'])}."
