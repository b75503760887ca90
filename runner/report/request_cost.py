"""What each step between configurations costs: CPU a request by role, and milliseconds.

Configurations are read in the file's order, so one that adds a hop to the one before it shows that
hop's price; only those with the same kind of connections are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.report import number_format
from runner.report.markdown_text import table
from runner.report.prose import heading

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]

_ROLES: Final = ("app", "proxy", "forwarder", "other", "system")
_LEAST: Final = 3
_FULL: Final = 0.9


@dataclass(frozen=True, slots=True)
class Step:
    """One configuration at one rate.

    Attributes:
        name: Its heading.
        costs: Role to CPU microseconds a good answer.
        p50_ms: Duration, None when nothing was answered.
        held: It answered what it was asked on a host with room, so that no queue is in its duration.
        kind: What it is built of, to find its like with other connections.
        hops: What stands before the app.
    """

    name: str
    costs: Mapping[str, float]
    p50_ms: float | None
    held: bool
    kind: tuple[str, bool, bool]
    hops: frozenset[str] = frozenset()


def ladders(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """For every rate and kind of connection that at least three configurations share: table and sentences."""
    cores = results["environment"].get("cpu_count")
    long = _long(results["configurations"], cores)
    return [
        {
            "heading": f"{number_format.rate(rate)} RPS, {_CONNECTIONS[connection]}",
            "table": _table(steps, cores),
            "sentence": " ".join(
                filter(None, (_dearest(steps), _whole(steps), _set_up(long, rate, connection)))
            ),
        }
        for (rate, connection), steps in long.items()
    ]


def answer(configurations: Sequence[Configuration]) -> str:
    """Which price is the larger at the highest rate that tells it, the hops' or connection set-up's."""
    long = _long(configurations, None)
    keys = sorted((key for key in long if key[1] == "new"), reverse=True)
    told = [(rate, sentence) for rate, kind in keys if (sentence := _set_up(long, rate, kind))]
    return f"At {number_format.rate(told[0][0])} RPS, {told[0][1][0].lower()}{told[0][1][1:]}" if told else ""


def _long(configurations: Sequence[Configuration], cores: int | None) -> dict[tuple[float, str], list[Step]]:
    found: dict[tuple[float, str], list[Step]] = {}
    for configuration in configurations:
        for stage in configuration["stages"]:
            if stage["achieved"] is not None and stage["repeat"] == 1:
                key = (stage["target_rps"], configuration["load"]["connection"])
                found.setdefault(key, []).append(_step(configuration, stage, cores))
    return {key: steps for key, steps in found.items() if len(steps) >= _LEAST}


_CONNECTIONS: Final = {"new": "a new connection for each request", "keep-alive": "kept connections"}


def _step(configuration: Configuration, stage: Stage, cores: int | None) -> Step:
    costs = {role: cost for role, cost in stage["cpu_us_per_request"].items() if cost is not None}
    used = (stage["cpu_cores"].get("system") or {}).get("avg")
    room = not cores or used is None or used < _FULL * cores
    held = stage["verdict"]["code"] == "within-capacity" and room
    kind = (configuration["topology"]["kind"], "proxy" in costs, "forwarder" in costs)
    hops = frozenset({"proxy", "forwarder"} & costs.keys())
    return Step(heading(configuration), costs, stage["duration_ms"]["p50"], held, kind, hops)


def _table(steps: Sequence[Step], cores: int | None) -> str:
    roles = [role for role in _ROLES if any(role in step.costs for step in steps)]
    head = ["Configuration", *(f"{role} (µs)" for role in roles), "step (µs)", "p50 (ms)", "step (ms)"]
    head += ["CPU for at most (RPS)"] if cores else []
    rows = []
    for before, step in _pairs(steps):
        rows.append(
            [
                step.name,
                *(number_format.micros(step.costs[role]) if role in step.costs else "–" for role in roles),
                _signed(_extra_us(before, step), ",.0f"),
                number_format.ms(step.p50_ms) if step.held else f"{number_format.ms(step.p50_ms)} (queue)",
                _signed(_extra_ms(before, step), ".2f"),
                *([_most(step, cores)] if cores else []),
            ]
        )
    return table(head, rows)


def _pairs(steps: Sequence[Step]) -> list[tuple[Step | None, Step]]:
    """Every step with what it stands on: the nearest one before it that has no hop which it lacks."""
    return [
        (next((each for each in reversed(steps[:place]) if each.hops <= step.hops), None), step)
        for place, step in enumerate(steps)
    ]


def _most(step: Step, cores: int) -> str:
    """The rate at which every core of the host would be full."""
    cost = step.costs.get("system")
    return number_format.rate(round(cores * 1e6 / cost, -2)) if cost else number_format.NOT_MEASURED


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
        for before, step in _pairs(steps)
        if before and (extra := _extra_us(before, step)) is not None
    ]
    if not priced:
        return ""
    extra, before, after = max(priced)
    return f"The dearest step is from {before} to {after}: {extra:+,.0f} µs of the host's CPU a request."


def _whole(steps: Sequence[Step]) -> str:
    """Who took what the last configuration costs more than the first."""
    first, last = steps[0].costs, steps[-1].costs
    if "system" not in first or "system" not in last:
        return ""
    more = {role: last[role] - first.get(role, 0.0) for role in _ROLES if role in last and role != "system"}
    shares = [f"{role} {extra:+,.0f} µs" for role, extra in sorted(more.items(), key=lambda pair: -pair[1])]
    return (
        f"From {steps[0].name} to {steps[-1].name} the CPU of a request went to "
        f"{last['system'] / first['system']:.1f} times as much, {last['system'] - first['system']:+,.0f} µs: "
        f"{number_format.listed(shares)}."
    )


def _set_up(long: Mapping[tuple[float, str], Sequence[Step]], rate: float, connection: str) -> str:
    """What a new connection for each request adds to the last configuration, beside what its hops add."""
    kept, new = long.get((rate, "keep-alive")), long.get((rate, "new"))
    if connection != "new" or kept is None or new is None or [s.kind for s in kept] != [s.kind for s in new]:
        return ""
    if any("system" not in steps.costs for steps in (kept[0], kept[-1], new[-1])):
        return ""
    hops, set_up = _more(kept[0], kept[-1], "system"), _more(kept[-1], new[-1], "system")
    aside = [_more(kept[0], kept[-1], "other"), _more(kept[-1], new[-1], "other")]
    dearer = "connection set-up, not the hops themselves" if set_up > hops else "the hops themselves"
    said = (
        f"With kept connections the hops add {hops:,.0f} µs a request; a connection for each request adds "
        f"another {set_up:,.0f} µs at every hop together"
    )
    unseen = max(aside, key=abs)
    if (set_up > hops) != (set_up - aside[1] > hops - aside[0]):
        return (
            f"{said}. Which is the larger price cannot be told here: {unseen:+,.0f} µs of it went "
            "to what was not watched, which may be another program."
        )
    return f"{said}: the larger price is {dearer}."


def _more(before: Step, after: Step, role: str) -> float:
    return after.costs.get(role, 0.0) - before.costs.get(role, 0.0)
