"""report.html: one file without references to others, with the verdict first and the whole report below.

The page repeats the sentences of report.md: its Markdown, with raw HTML switched off, becomes the lower
part of the page. An application that serves pages gives the addresses of scripts and styles instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from markupsafe import Markup

from runner.core.metrics import METRICS
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report import conclusion, metric_text, number_format
from runner.report.capacity import shown
from runner.report.charts.chart import WIDTH, Chart, theme, untitled
from runner.report.charts.render import charts
from runner.report.headline import headline
from runner.report.markdown import render_markdown
from runner.report.page.columns import (
    COLUMNS,
    REQUEST_COLUMNS,
    SCENARIO_COLUMNS,
    VERDICT,
    Column,
    definitions,
)
from runner.report.page.evidence import limits_ruled_out, verdict_groups
from runner.report.page.links import ExternalFiles, Link
from runner.report.page.markdown_html import render_template, to_html
from runner.report.page.rows import PartRow, StageRow, request_rows, scenario_rows, stage_rows, tone_of
from runner.report.page.sections import node_tables, placed, row_count, service_tables
from runner.report.prose import aborted
from runner.report.threshold_lines import threshold_lines

_OF_STEPS = frozenset(
    metric_text.heading(METRICS[path]) for path in ("duration.p50", "duration.p95", "duration.p99")
)


def render_page(
    results: Results,
    *,
    bundle: str = "",
    external: ExternalFiles | None = None,
    home: Link | None = None,
    files: Sequence[Link] = (),
    note: str = "",
) -> str:
    """Return the page's HTML. The same arguments always give the same text.

    Args:
        results: The content of results.json.
        bundle: JavaScript that defines ``vegaEmbed``; without it there are no charts.
        external: Addresses of styles and scripts, for a page that an application serves; the page then
            contains neither, and no `bundle`.
        home: A link in the head of the page.
        files: Links by which files of the run can be saved, in the head of the page.
        note: A sentence in the head of the page.
    """
    has_charts = bool(external.bundle if external else bundle)
    shown_charts = placed(results, charts(results) if has_charts else [])
    rows = stage_rows(results.configurations)
    return render_template(
        "page.html.j2",
        external=external,
        home=home,
        files=files,
        note=note,
        rows=rows,
        charts=shown_charts,
        data=_data(shown_charts.all),
        bundle=Markup(bundle.replace("</script", "<\\/script")),  # noqa: S704  (a library's own JavaScript)
        report=to_html(render_markdown(results, without_first_lines=True), deeper=1),
        **_beginning(results),
        **_findings(results, rows),
        **_tables(results, rows),
    )


def _beginning(results: Results) -> dict[str, object]:
    """Return the variables of what the page says first."""
    head = headline(results)
    return {
        "title": results.experiment.title,
        "objective": results.experiment.objective,
        "run": results.run,
        "aborted": to_html(aborted(results.run)),
        "head": head,
        "limit_tone": tone_of(head.limited) if head.limited else "",
        "conclusion": to_html(conclusion.conclusion([shown(one) for one in results.configurations])),
    }


def _findings(results: Results, rows: Sequence[StageRow]) -> dict[str, object]:
    """Return the variables of the thresholds and the verdicts."""
    several = len(results.configurations) > 1
    return {
        "thresholds": threshold_lines(results),
        "several": several,
        "groups": verdict_groups(rows, several=several),
        "ruled_out": limits_ruled_out(rows, several=several),
        "limits": {row.stage.verdict.code for row in rows},
        "figure_of": number_format.figure,
    }


def _tables(results: Results, rows: Sequence[StageRow]) -> dict[str, object]:
    """Return the variables of the tables of stages, scenarios, requests, services and nodes."""
    requests = request_rows(results.configurations)
    scenarios = scenario_rows(results.configurations)
    return {
        "columns": _filled(_stage_columns(scenarios), [row.stage for row in rows]),
        "requests": requests,
        "request_columns": _filled(REQUEST_COLUMNS, [row.part for row in requests]),
        "share": number_format.share,
        "scenarios": scenarios,
        "scenario_columns": _filled(SCENARIO_COLUMNS, [row.part for row in scenarios]),
        "services": service_tables(results),
        "nodes": node_tables(results),
        "definitions": definitions(scenarios=bool(scenarios)),
        "what": _what(scenarios),
        "row_count": row_count,
        "verdict_definition": VERDICT,
    }


def _stage_columns(scenarios: Sequence[PartRow]) -> list[Column]:
    """Return the columns of the table of stages; with scenarios, steps have a table for the rest."""
    left_out = _OF_STEPS if scenarios else frozenset()
    return [column for column in COLUMNS if column.heading not in left_out]


def _what(scenarios: Sequence[PartRow]) -> str:
    return "Each step of the scenarios" if scenarios else "Each request of the mix"


def _filled(columns: Sequence[Column], stages: Sequence[Stage]) -> list[Column]:
    """Return the columns that apply to a stage: users have neither a target nor a response time."""
    return [
        column
        for column in columns
        if not stages or any(column.text(stage) != number_format.NOT_APPLICABLE for stage in stages)
    ]


def _data(drawn: list[Chart]) -> Markup:
    """Return the charts as JSON that cannot end its script element."""
    themes = {"light": theme(dark=False), "dark": theme(dark=True)}
    content = {"charts": {chart.name: untitled(chart) for chart in drawn}, **themes, "width": WIDTH}
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704  (no markup is left in it)
