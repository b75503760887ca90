"""`runner compare`: whether one system is better than another, and how sure that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from runner.cli import exit_codes
from runner.cli.run_arguments import Results, margin, put, read_runs
from runner.core.errors import UsageError

_FORMATS: Final = ("md", "html", "json")


@click.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@click.option(
    "--margin", "least", callback=margin, default="5%", show_default=True, help="Smaller changes are none."
)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="md", show_default=True)
@click.option("--force", is_flag=True, help="Compare runs of unlike machines.")
@click.option("--fail-on-regression", is_flag=True, help="Exit with code 99 when anything got worse.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write here, not to stdout.")
def compare(
    base: Path,
    head: Path,
    least: float,
    form: str,
    force: bool,
    fail_on_regression: bool,
    out: Path | None,
) -> int:
    """Compare BASE with HEAD: each a run, or a folder with several runs of one specification.

    Every number gets an interval and a verdict: better, worse, equivalent, or no difference shown.
    """
    from runner.analyze.comparison import compare as compared

    sides = [_side(path) for path in (base, head)]
    if sides[0][0]["experiment"]["name"] != sides[1][0]["experiment"]["name"] and not force:
        names = " and ".join(f"'{side[0]['experiment']['name']}'" for side in sides)
        raise UsageError(
            f"these are runs of different experiments, {names}", hint="compare them all the same with --force"
        )
    comparison = compared(*sides, margin=least, force=force)
    put(_text(comparison, form), out)
    worse = comparison["verdict"] == "worse"
    return exit_codes.THRESHOLD_FAILED if worse and fail_on_regression else exit_codes.DONE


def _side(path: Path) -> list[Results]:
    runs = read_runs(path)
    names = sorted({str(each["experiment"]["name"]) for each in runs})
    if len(names) > 1:
        raise UsageError(
            f"{path} holds runs of several experiments: {', '.join(names)}",
            hint="name the folder of one experiment, or one run",
        )
    return runs


def _text(comparison: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(comparison, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    from runner.report.comparison import render_comparison

    text = render_comparison(comparison)
    if form == "md":
        return text
    from runner.report.page.markdown_html import text_page

    return text_page("Comparison", text)
