"""report.html: one file without references to others, with the verdict first and the whole report below.

The page repeats the sentences of report.md: its Markdown, with raw HTML switched off, becomes the lower
part of the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from runner.analyze.medians import of_medians
from runner.core.codes import Limit, Validity
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.report import conclusion, number_format
from runner.report.capacity import shown
from runner.report.charts.chart import WIDTH, Chart, theme, titled
from runner.report.charts.render import charts
from runner.report.charts.scenarios import FUNNELS
from runner.report.markdown import render_markdown
from runner.report.page.columns import (
    COLUMNS,
    REQUEST_COLUMNS,
    SCENARIO_COLUMNS,
    VERDICT,
    Column,
    definitions,
)
from runner.report.page.markdown_html import render_template, to_html
from runner.report.prose import aborted, title
from runner.report.request_tables import parts, share
from runner.report.summary import broken_thresholds, limit_or_status


@dataclass(frozen=True, slots=True)
class _Row:
    """A stage in the table, and among the verdicts; `unlimited` if it is valid and no limit was found."""

    configuration: str
    stage: Stage
    limit: str
    unlimited: bool


@dataclass(frozen=True, slots=True)
class _ScenarioRow:
    """A scenario in its table; `part` is what was measured of it in the stage."""

    configuration: str
    stage: Stage
    name: str
    part: Stage


@dataclass(frozen=True, slots=True)
class _RequestRow:
    """A request of a mix in its table; `part` is what was measured of it in the stage."""

    configuration: str
    stage: Stage
    name: str
    part: Stage

    @property
    def share(self) -> float | None:
        """Its share of the stage's requests."""
        return share(self.stage, self.part)


def render_page(results: Results, *, bundle: str = "") -> str:
    """Return the page's HTML. The same results always give the same text.

    `bundle` is JavaScript that defines ``vegaEmbed``; without it there are no charts.
    """
    drawn = charts(results) if bundle else []
    rows = [row for configuration in results.configurations for row in _rows(configuration)]
    requests = [row for configuration in results.configurations for row in _request_rows(configuration)]
    scenarios = [row for configuration in results.configurations for row in _scenario_rows(configuration)]
    funnel = [chart for chart in drawn if chart.name == FUNNELS]
    return render_template(
        "page.html.j2",
        title=results.experiment.title,
        objective=results.experiment.objective,
        run=results.run,
        aborted=to_html(aborted(results.run)),
        conclusion=to_html(conclusion.conclusion([shown(one) for one in results.configurations])),
        broken=broken_thresholds(results),
        titles={configuration.name: title(configuration) for configuration in results.configurations},
        rows=rows,
        several=len(results.configurations) > 1,
        columns=_filled(COLUMNS, [row.stage for row in rows]),
        requests=requests,
        request_columns=_filled(REQUEST_COLUMNS, [row.part for row in requests]),
        share=number_format.share,
        scenarios=scenarios,
        scenario_columns=_filled(SCENARIO_COLUMNS, [row.part for row in scenarios]),
        funnels=funnel,
        definitions=definitions(scenarios=bool(scenarios)),
        what="Each step of the scenarios" if scenarios else "Each request of the mix",
        verdict_definition=VERDICT,
        charts=[chart for chart in drawn if chart not in funnel],
        data=_data(drawn),
        bundle=Markup(bundle.replace("</script", "<\\/script")),  # noqa: S704  (a library's own JavaScript)
        report=to_html(render_markdown(results), deeper=1),
    )


def _filled(columns: Sequence[Column], stages: Sequence[Stage]) -> list[Column]:
    """Return the columns that apply to a stage: users have neither a target nor a response time."""
    return [
        column
        for column in columns
        if not stages or any(column.text(stage) != number_format.NOT_APPLICABLE for stage in stages)
    ]


def _rows(configuration: ConfigurationResults) -> Iterator[_Row]:
    for stage in shown(of_medians(configuration)).stages:
        valid = stage.validity.status is Validity.VALID
        unlimited = valid and stage.verdict.code is Limit.WITHIN_CAPACITY
        yield _Row(title(configuration), stage, limit_or_status(stage), unlimited)


def _request_rows(configuration: ConfigurationResults) -> Iterator[_RequestRow]:
    for stage in shown(of_medians(configuration)).stages:
        yield from (_RequestRow(title(configuration), stage, name, part) for name, part in parts(stage))


def _scenario_rows(configuration: ConfigurationResults) -> Iterator[_ScenarioRow]:
    """Yield the scenarios of each stage; of several, all of them together last."""
    for stage in shown(of_medians(configuration)).stages:
        names = list(stage.scenario_parts)
        yield from (_ScenarioRow(title(configuration), stage, name, stage.part(name)) for name in names)
        if len(names) > 1:
            yield _ScenarioRow(title(configuration), stage, "all scenarios", stage)


def _data(drawn: list[Chart]) -> Markup:
    """Return the charts as JSON that cannot end its script element."""
    themes = {"light": theme(dark=False), "dark": theme(dark=True)}
    content = {"charts": {chart.name: titled(chart) for chart in drawn}, **themes, "width": WIDTH}
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704  (no markup is left in it)
