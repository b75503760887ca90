"""`runner doctor`: what this machine has for experiments and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from runner.cli.output import answer, put

if TYPE_CHECKING:
    from runner.stack.docker.checkup import DockerCheck

_MARKS = {"ok": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("✗", "red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--swarm", is_flag=True, help="Check a Docker Swarm instead, with an agent on each node.")
@click.option("--registry", help="With --swarm: push the agents' image there, HOST:PORT/PREFIX.")
def doctor(as_json: bool, swarm: bool, registry: str | None) -> int:
    """Show what this machine or a swarm has for experiments, what is missing, and what to do about it."""
    from runner.cli.doctor_checks import examine, examine_swarm
    from runner.cli.exit_codes import DONE, ENVIRONMENT
    from runner.core.errors import UsageError

    if registry and not swarm:
        raise UsageError("--registry needs --swarm", hint="add --swarm")
    checks = examine_swarm(registry) if swarm else examine()
    if as_json:
        import json
        from dataclasses import asdict

        put(json.dumps([asdict(check) for check in checks], indent=1) + "\n")
    else:
        _show(checks)
    unusable = swarm and any(check.status == "missing" for check in checks)
    return ENVIRONMENT if unusable else DONE


def _show(checks: Sequence[DockerCheck]) -> None:
    for check in checks:
        mark, colour = _MARKS[check.status]
        answer(f"{check.name}: {check.found}", label=mark, colour=colour)
        if check.advice:
            answer(f"    {check.advice}")
