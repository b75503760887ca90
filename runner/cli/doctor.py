"""`runner doctor`: what this machine has for experiments and what is missing."""

from __future__ import annotations

import os

import click

_MARKS = {"ok": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(as_json: bool) -> None:
    """Show what this machine has for experiments, what is missing, and what to do about it."""
    from runner.cli.doctor_checks import examine

    checks = examine()
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(check) for check in checks], indent=1))
        return
    color = False if os.environ.get("NO_COLOR") else None
    for check in checks:
        mark, colour = _MARKS[check.status]
        click.echo(f"{click.style(mark, fg=colour)} {check.name}: {check.found}", color=color)
        if check.advice:
            click.echo(f"    {check.advice}")
