"""The counter-experiments of a configuration: the change, its effect, and what that shows."""

from __future__ import annotations

from runner.core.results import ConfigurationResults
from runner.report import number_format
from runner.report.markdown_text import markdown, table
from runner.report.section import Section

_HEAD = (
    "Stage",
    "Change",
    "RPS before",
    "RPS after",
    "p95 response time before (ms)",
    "p95 response time after (ms)",
    "Result",
)


def counter_experiments(configuration: ConfigurationResults) -> Section | None:
    """Return a table of both runs and a sentence for each; None without a counter-experiment."""
    pairs = [
        (stage, stage.verdict.counter_experiment)
        for stage in configuration.stages
        if stage.verdict.counter_experiment
    ]
    if not pairs:
        return None
    rows = [
        [
            stage.title,
            proof.words,
            *(number_format.rate(rps) for rps in proof.actual_rps),
            number_format.ms(stage.response_time_ms.p95),
            number_format.ms(proof.trial.response_time_ms.p95),
            markdown("**{}**", proof.answer),
        ]
        for stage, proof in pairs
    ]
    lines = tuple(markdown("{}: {}", stage.title, proof.sentence) for stage, proof in pairs)
    return Section(table=table(_HEAD, rows), lines=lines)
