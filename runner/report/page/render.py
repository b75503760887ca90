"""report.html: one file that needs nothing else, with the verdict first and the whole report below.

What report.md says is said here by the same sentences: its Markdown, with raw HTML switched
off, becomes the lower part of the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.report import conclusion, number_format
from runner.report.capacity import shown
from runner.report.charts.chart import WIDTH, Chart, theme, whole
from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.report.page.columns import COLUMNS
from runner.report.page.markdown_html import to_html
from runner.report.prose import aborted, title
from runner.report.sparkline import sparkline
from runner.report.summary import broken_thresholds

Results = Mapping[str, Any]
Stage = Mapping[str, Any]

_environment: Final = Environment(
    loader=PackageLoader("runner.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def render_page(results: Results, *, bundle: str = "") -> str:
    """The page's HTML. The same results always give the same text.

    Args:
        results: The content of results.json.
        bundle: JavaScript that defines ``vegaEmbed``; without it the page has tables and curves of
            characters in place of charts.
    """
    pictures = charts(results) if bundle else []
    return _environment.get_template("page.html.j2").render(
        title=results["experiment"]["title"],
        objective=results["experiment"]["objective"],
        run=results["run"],
        aborted=to_html(aborted(results["run"])),
        conclusion=to_html(conclusion.conclusion([shown(each) for each in results["configurations"]])),
        broken=broken_thresholds(results),
        titles={each["name"]: title(each) for each in results["configurations"]},
        stages=[row for each in results["configurations"] for row in _rows(each)],
        several=len(results["configurations"]) > 1,
        columns=COLUMNS,
        definitions=[column for column in COLUMNS if column.means],
        charts=pictures,
        data=_data(pictures),
        bundle=Markup(bundle.replace("</script", "<\\/script")),  # noqa: S704  (a library's own JavaScript)
        report=to_html(render_markdown(results), deeper=1),
    )


def _rows(configuration: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for stage in shown(configuration)["stages"]:
        yield {
            "configuration": title(configuration),
            "name": stage["name"] + (f" (repeat {stage['repeat']})" if stage["repeat"] > 1 else ""),
            "validity": stage["validity"],
            "verdict": stage["verdict"],
            "status": stage["status"],
            "cells": _cells(stage),
            "held": stage["verdict"]["code"] == "within-capacity",
        }


def _cells(stage: Stage) -> dict[str, tuple[str, float | None]]:
    """Column's key to its text and the number to sort by."""
    requests, duration = stage["requests"], stage["duration_ms"]
    usage = {role: (stage["cpu_cores"].get(role) or {}).get("avg") for role in ("app", "system")}
    lost = requests["failed"] + requests["dropped"]
    rates = [each.get("rps") for each in stage["timeseries"] if each["t_s"] > 0]
    return {
        "target": (number_format.rate(stage["target_rps"]), stage["target_rps"]),
        "actual": (number_format.rate(stage["actual_rps"]), stage["actual_rps"]),
        "achieved": (number_format.share(stage["achieved"]), stage["achieved"]),
        **{key: (number_format.ms(duration[key]), duration[key]) for key in ("p50", "p95", "p99")},
        "response": (number_format.ms(stage["response_time_ms"]["p95"]), stage["response_time_ms"]["p95"]),
        "lost": (number_format.count(lost), lost),
        **{role: (number_format.cores(cores), cores) for role, cores in usage.items()},
        "curve": (sparkline(rates, top=stage["target_rps"], width=12), None),
    }


def _data(pictures: list[Chart]) -> Markup:
    """The charts as JSON that cannot end its script element."""
    content = {
        "charts": {chart.name: whole(chart) for chart in pictures},
        "light": theme(dark=False),
        "dark": theme(dark=True),
        "width": WIDTH,
    }
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704  (no markup is left in it)
