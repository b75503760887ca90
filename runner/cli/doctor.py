"""`runner doctor`: what this machine has for experiments and what is missing."""

from __future__ import annotations

import click

from runner.cli.output import answer, put

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

        put(json.dumps([asdict(check) for check in checks], indent=1) + "\n")
        return
    for check in checks:
        mark, colour = _MARKS[check.status]
        answer(f"{check.name}: {check.found}", label=mark, colour=colour)
        if check.advice:
            answer(f"    {check.advice}")
