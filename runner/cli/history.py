"""`runner history`: how the numbers of an experiment changed from run to run."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import exit_codes
from runner.cli.compare import FORMATS, as_json
from runner.cli.output import put
from runner.cli.run_arguments import margin_option, read_runs
from runner.core.comparison import History
from runner.core.errors import UsageError
from runner.core.results import Results


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@margin_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="md", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not to stdout.")
def history(folder: Path, margin: float, form: str, out: Path | None) -> int:
    """Show the trend of every number over the runs in FOLDER, experiment by experiment."""
    from runner.analyze.history import history as history_of

    experiments: dict[str, list[Results]] = {}
    for results in read_runs(folder):
        experiments.setdefault(results.experiment.name, []).append(results)
    histories = [history_of(runs, margin=margin) for runs in experiments.values() if len(runs) > 1]
    if not histories:
        raise UsageError(
            f"{folder} does not contain two runs of one experiment",
            hint="give the folder that contains several runs",
        )
    put(_text(histories, form), out)
    return exit_codes.DONE


def _text(histories: list[History], form: str) -> str:
    if form == "json":
        return as_json(histories)
    from runner.report.history import render_history

    text = "\n".join(map(render_history, histories))
    if form == "md":
        return text
    from runner.report.page.markdown_html import text_page

    return text_page("History", text)
