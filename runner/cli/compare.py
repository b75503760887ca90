"""`runner compare`: whether one system is better than another, and how sure that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from runner.cli import exit_codes
from runner.cli.output import put, say
from runner.cli.run_arguments import margin_option, read_runs
from runner.core.codes import ComparisonVerdict
from runner.core.comparison import Comparison
from runner.core.errors import UsageError
from runner.core.results import Results

FORMATS: Final = ("md", "html", "json")


@click.command()
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@margin_option
@click.option("--format", "form", type=click.Choice(FORMATS), default="md", show_default=True)
@click.option("--force", is_flag=True, help="Compare runs of different machines or experiments.")
@click.option(
    "--fail-on-regression",
    is_flag=True,
    help="Exit with code 99 if anything got worse, and with 4 if anything could not be judged.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not to stdout.")
def compare(
    base: Path,
    head: Path,
    margin: float,
    form: str,
    force: bool,
    fail_on_regression: bool,
    out: Path | None,
) -> int:
    """Compare BASE with HEAD: each is a run, or a folder with several runs of one specification.

    Every number gets an interval and a verdict: better, worse, equivalent, or no difference shown. Stages and
    numbers that cannot be judged are listed with the reason.
    """
    from runner.analyze.comparison import compare as compare_runs

    sides = [_side(path) for path in (base, head)]
    names = [runs[0].experiment.name for runs in sides]
    if names[0] != names[1] and not force:
        raise UsageError(
            f"these are runs of different experiments, '{names[0]}' and '{names[1]}'",
            hint="use --force to compare them nevertheless",
        )
    comparison = compare_runs(*sides, margin=margin, force=force)
    put(_text(comparison, form), out)
    return _judge(comparison) if fail_on_regression else exit_codes.DONE


def _judge(comparison: Comparison) -> int:
    """Say on stderr why a gate is not passed, or what it could have missed, and return its exit code."""
    from runner.report.gaps import detectable_change, gaps

    if comparison.verdict is ComparisonVerdict.WORSE:
        return exit_codes.THRESHOLD_FAILED
    if unknown := list(gaps(comparison)):
        say(
            "not everything could be judged:",
            *(f"  {line}" for line in unknown),
            label="error:",
            colour="red",
        )
        say(
            "repeat the run on a quieter machine, with `repeats: 5`, or with the stages of the base; exit "
            f"code {exit_codes.INVALID_STAGE} means that nothing that could be judged got worse",
            label="hint:",
            colour="cyan",
        )
        return exit_codes.INVALID_STAGE
    say(f"no regression is shown. {detectable_change(comparison)}".rstrip())
    return exit_codes.DONE


def _side(path: Path) -> list[Results]:
    runs = read_runs(path)
    names = sorted({results.experiment.name for results in runs})
    if len(names) > 1:
        raise UsageError(
            f"{path} contains runs of several experiments: {', '.join(names)}",
            hint="give the folder of one experiment, or one run",
        )
    return runs


def _text(comparison: Comparison, form: str) -> str:
    if form == "json":
        return as_json(comparison)
    if form == "md":
        from runner.report.comparison import render_comparison

        return render_comparison(comparison)
    from runner.report.page.comparison_page import comparison_page

    return comparison_page(comparison)


def as_json(content: object) -> str:
    """Return structures as the JSON text that commands print."""
    from msgspec import to_builtins

    return json.dumps(to_builtins(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
