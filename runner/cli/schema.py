"""`runner schema`: the JSON Schema of specifications for editors, the same as a page, and that of results."""

from __future__ import annotations

import json

import click

from runner.cli.output import put


@click.command()
@click.option("--markdown", is_flag=True, help="Print every key of specifications as a page for people.")
@click.option("--results", is_flag=True, help="Print the JSON Schema of results.json.")
def schema(markdown: bool, results: bool) -> None:
    """Print the JSON Schema of specifications (version 1)."""
    if markdown and results:
        raise click.UsageError("--markdown and --results exclude each other")
    if markdown:
        from runner.experiment.reference import reference

        put(reference())
    elif results:
        from runner.store.results_schema import results_schema

        _print(results_schema())
    else:
        from runner.experiment.schema import json_schema

        _print(json_schema())


def _print(content: object) -> None:
    put(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
