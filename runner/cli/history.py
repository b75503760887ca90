"""`runner history`: how the numbers of an experiment have changed from run to run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from runner.cli import exit_codes
from runner.cli.run_arguments import Results, margin, put, read_runs
from runner.core.errors import UsageError

_FORMATS: Final = ("md", "html", "json")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--margin", "least", callback=margin, default="5%", show_default=True, help="Smaller changes are none."
)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="md", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write here, not to stdout.")
def history(folder: Path, least: float, form: str, out: Path | None) -> int:
    """Show the trend of every number over the runs in FOLDER, experiment by experiment."""
    from runner.analyze.history import history as trend
    from runner.report.history import render_history

    groups: dict[str, list[Results]] = {}
    for results in read_runs(folder):
        groups.setdefault(results["experiment"]["name"], []).append(results)
    trends = [trend(group, margin=least) for group in groups.values() if len(group) > 1]
    if not trends:
        raise UsageError(
            f"{folder} has no two runs of one experiment", hint="give the folder that holds several runs"
        )
    if form == "json":
        put(json.dumps(trends, indent=1, ensure_ascii=False, allow_nan=False) + "\n", out)
        return exit_codes.DONE
    text = "\n".join(map(render_history, trends))
    if form == "html":
        from runner.report.page.markdown_html import text_page

        text = text_page("History", text)
    put(text, out)
    return exit_codes.DONE
