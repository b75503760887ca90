"""What each step between configurations costs: CPU a request by role, and milliseconds.

Configurations are read in the file's order, so one that adds a hop to the one before it shows that
hop's price; only those with the same kind of connections are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from runner.report import numbers
from runner.report.markup import escape, table
from runner.report.words import heading

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]

_ROLES: Final = ("app", "proxy", "forwarder", "other", "system")
_LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One configuration at one rate.

    Attributes:
        name: Its heading.
        costs: Role to CPU microseconds a good answer.
        p50_ms: Duration, None when nothing was answered.
        held: It answered what it was asked, so that no queue is in its duration.
    """

    name: str
    costs: Mapping[str, float]
    p50_ms: float | None
    held: bool


def ladders(configurations: Sequence[Configuration]) -> list[dict[str, str]]:
    """For every rate and kind of connection that at least three configurations share: table and sentence."""
    found: dict[tuple[float, str], list[Step]] = {}
    for configuration in configurations:
        for stage in configuration["stages"]:
            if stage["achieved"] is not None and stage["repeat"] == 1:
                key = (stage["target_rps"], configuration["load"]["connection"])
                found.setdefault(key, []).append(_step(configuration, stage))
    return [
        {
            "heading": f"{numbers.rate(rate)} RPS, {_CONNECTIONS[connection]}",
            "table": _table(steps),
            "sentence": _dearest(steps),
        }
        for (rate, connection), steps in found.items()
        if len(steps) >= _LEAST
    ]


_CONNECTIONS: Final = {"new": "a new connection for each request", "keep-alive": "kept connections"}


def _step(configuration: Configuration, stage: Stage) -> Step:
    costs = {role: cost for role, cost in stage["cpu_us_per_request"].items() if cost is not None}
    held = stage["verdict"]["code"] == "within-capacity"
    return Step(heading(configuration), costs, stage["duration_ms"]["p50"], held)


def _table(steps: Sequence[Step]) -> str:
    roles = [role for role in _ROLES if any(role in step.costs for step in steps)]
    head = ["Configuration", *(f"{role} (µs)" for role in roles), "step (µs)", "p50 (ms)", "step (ms)"]
    rows = []
    for before, step in pairwise([None, *steps]):
        assert step is not None
        rows.append(
            [
                escape(step.name),
                *(numbers.micros(step.costs[role]) if role in step.costs else "–" for role in roles),
                _signed(_extra_us(before, step), ",.0f"),
                numbers.ms(step.p50_ms) if step.held else f"{numbers.ms(step.p50_ms)} (queue)",
                _signed(_extra_ms(before, step), ".2f"),
            ]
        )
    return table(head, rows)


def _extra_us(before: Step | None, step: Step) -> float | None:
    if before is None or "system" not in before.costs or "system" not in step.costs:
        return None
    return step.costs["system"] - before.costs["system"]


def _extra_ms(before: Step | None, step: Step) -> float | None:
    """None where one of them did not keep up: its duration is a queue's, not a hop's."""
    if before is None or before.p50_ms is None or step.p50_ms is None or not (before.held and step.held):
        return None
    return step.p50_ms - before.p50_ms


def _signed(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:+{form}}"


def _dearest(steps: Sequence[Step]) -> str:
    priced = [
        (extra, before.name, step.name)
        for before, step in pairwise(steps)
        if (extra := _extra_us(before, step)) is not None
    ]
    if not priced:
        return ""
    extra, before, after = max(priced)
    first, last = steps[0].costs.get("system"), steps[-1].costs.get("system")
    whole = (
        f" From the first to the last, a request became {last / first:.1f} times as dear."
        if first and last
        else ""
    )
    return (
        f"The dearest step is from {escape(before)} to {escape(after)}: {extra:+,.0f} µs of the host's CPU "
        f"a request.{whole}"
    )
