"""The tables of a request mix: what was measured of each request, and which of them failed how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import UNSET

from runner.core.load_results import LoadSummary, SentVariable
from runner.core.metrics import METRICS
from runner.core.stage_results import Stage
from runner.report import metric_text, number_format
from runner.report.markdown_text import EMPTY, Markdown, code, markdown, table
from runner.report.response_tables import counts, failure_kinds
from runner.report.tables import metric_row, target_rps

_RATES: Final = ("actual_rps", "achieved", "errors")
_LATENCIES: Final = ("duration.p50", "duration.p95", "duration.p99", "response_time.p95")
_WHOLE: Final = markdown("**all requests**")


def is_mix(stages: Sequence[Stage]) -> bool:
    """Return whether a stage sent several requests, or one that has a name."""
    return any(stage.parts for stage in stages)


def mix(load: LoadSummary) -> Markdown:
    """Return what the requests of a mix are; empty without a mix."""
    rows = [
        [code(request.name), request.method, code(request.path), number_format.share(request.share)]
        for request in load.requests or ()
    ]
    return table(["Request", "Method", "Path", "Share"], rows, words=(1, 2)) if rows else EMPTY


def variables(load: LoadSummary) -> Markdown:
    """Return where the values in the requests came from; empty without variables."""
    rows = [
        [code(one.name), _kind(one), one.order or "", f"{one.rows:,}" if one.rows is not UNSET else ""]
        for one in load.variables or ()
    ]
    return table(["Variable", "Values", "Order", "Rows"], rows, words=(1, 2)) if rows else EMPTY


def _kind(variable: SentVariable) -> Markdown:
    if variable.source:
        return markdown("{} {}", variable.kind, code(variable.source))
    return markdown("{}", "a secret" if variable.kind == "env" else variable.kind)


def share(stage: Stage, part: Stage) -> float | None:
    """Return the share of a stage's requests that one request has."""
    if stage.target_rps and part.target_rps is not None:
        return part.target_rps / stage.target_rps
    return part.requests.scheduled / stage.requests.scheduled if stage.requests.scheduled else None


def results_by_request(stages: Sequence[Stage]) -> Markdown:
    """Return a row for each request of each stage, then one for the whole stage; empty without a mix.

    Steps of scenarios have tables of their own.
    """
    stages = [stage for stage in stages if not stage.scenarios]
    if not is_mix(stages):
        return EMPTY
    columns = [("Target RPS", target_rps), *map(metric_row, _RATES), *map(_latency, _LATENCIES)]
    measured = [(stage, name, part) for stage in stages for name, part in _rows(stage)]
    columns = [  # users have neither a target nor a response time
        (title, cell)
        for title, cell in columns
        if any(cell(part) != number_format.NOT_APPLICABLE for _, _, part in measured)
    ]
    rows = [
        [stage.title, name, number_format.share(share(stage, part)), *(cell(part) for _, cell in columns)]
        for stage, name, part in measured
    ]
    head = ["Stage", "Request", "Share", *(title for title, _ in columns)]
    return stage_table(head, rows, stages)


def failures_by_request(stages: Sequence[Stage]) -> Markdown:
    """Return a row for each request of each stage that failed or was dropped; empty without any."""
    lossy = [
        (stage, code(name), part) for stage in stages for name, part in parts(stage) if part.requests.lost
    ]
    kinds = failure_kinds(part for _, _, part in lossy)
    rows = [[stage.title, name, *counts(part, kinds)] for stage, name, part in lossy]
    head = ["Stage", "Request", "scheduled", "succeeded", *kinds, "dropped"]
    return stage_table(head, rows, stages) if rows else EMPTY


def _latency(path: str) -> tuple[str, Callable[[Stage], str]]:
    """Return the heading and the cell of a latency; the failures beside it say why it may have no value."""
    metric = METRICS[path]
    return metric_text.heading(metric), lambda part: metric_text.brief_cell(metric, part)


def parts(stage: Stage) -> Iterator[tuple[str, Stage]]:
    """Yield the name of each request of a mix or step of a scenario, with what was measured of it."""
    for name in stage.request_parts:
        yield name, stage.part(name)


def all_parts(stage: Stage) -> Iterator[tuple[str, Stage]]:
    """Yield the same, and each scenario before its steps."""
    for name in stage.parts:
        yield name, stage.part(name)


def _rows(stage: Stage) -> Iterator[tuple[Markdown, Stage]]:
    if stage.parts:
        yield from ((code(name), part) for name, part in parts(stage))
        yield _WHOLE, stage


def stage_table(
    head: Sequence[object], rows: Sequence[Sequence[object]], stages: Sequence[Stage]
) -> Markdown:
    """Return a table; its first column, the stage, only where there are several."""
    if len(stages) > 1:
        return table(head, rows, words=(1,))
    return table(head[1:], [row[1:] for row in rows])
