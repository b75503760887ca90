"""`runner schema`: the JSON Schema, for editors, or the same as a page for people."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--markdown", is_flag=True, help="Every key as a page for people.")
def schema(markdown: bool) -> None:
    """Print the JSON Schema of specifications (version 1)."""
    from runner.experiment.reference import reference
    from runner.experiment.schema import json_schema

    if markdown:
        click.echo(reference(), nl=False)
        return
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
