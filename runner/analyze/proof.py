"""What a counter-experiment says of a verdict: confirmed, refuted, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runner.plan.changes import Change

Stage = Mapping[str, Any]

LIFTED: Final = 0.10
"""From this much more throughput on, the change lifted the limit; Loadproof's own bound."""
NOT_LIFTED: Final = 0.03
"""Below this much more, it did not."""


def prove(stage: Stage, counter: Stage, change: Change) -> dict[str, Any]:
    """A stage's verdict after the stage was run again with one change.

    Args:
        stage: As in results.json.
        counter: The same stage with `change`, of the same shape.
        change: What was done differently.

    Returns:
        The verdict with ``counter_experiment`` added. Confirmed makes it *proven*. Refuted
        withdraws it: the code becomes ``undetermined`` and the old one is in ``withdrawn``.
    """
    before, after = stage["actual_rps"], counter["actual_rps"]
    lift = after / before - 1 if before and after is not None else None
    answer = _answer(stage, counter, lift, change)
    verdict = dict(stage["verdict"])
    found = {
        "change": change.name,
        "words": change.words,
        "cause": change.cause,
        "actual_rps": [before, after],
        "lift": None if lift is None else round(lift, 4),
        "answer": answer,
        "sentence": _sentence(before, after, lift, change, answer),
        "trial": dict(counter),
    }
    if answer == "confirmed" and verdict["code"] != "undetermined":
        verdict |= {"confidence": "proven"}
    if answer == "refuted" and verdict["code"] != "undetermined":
        verdict |= {"withdrawn": verdict["code"], "code": "undetermined", "confidence": "hint"}
    return verdict | {"counter_experiment": found}


def _answer(stage: Stage, counter: Stage, lift: float | None, change: Change) -> str:
    if lift is None or counter["status"] != "complete" or counter["validity"]["status"] == "invalid":
        return "inconclusive"
    held = counter["verdict"]["code"] == "within-capacity"  # no more was asked for than it answered
    if lift >= LIFTED or (held and lift > NOT_LIFTED):
        return "confirmed" if _consistent(stage, counter) else "inconclusive"
    return (
        "refuted" if lift <= NOT_LIFTED and change.clean and not _generator_full(counter) else "inconclusive"
    )


_CPU_OF: Final = {
    "app-cpu-limited": "app",
    "proxy-cpu-limited": "proxy",
    "forwarder-limited": "forwarder",
    "host-cpu-limited": "system",
}


def _consistent(stage: Stage, counter: Stage) -> bool:
    """A CPU limit is lifted by cheaper requests or by more CPU; neither means that something else was."""
    role = _CPU_OF.get(stage["verdict"]["code"])
    if role is None:
        return True
    costs = [each["cpu_us_per_request"].get(role) for each in (stage, counter)]
    used = [(each["cpu_cores"].get(role) or {}).get("avg") for each in (stage, counter)]
    if costs[0] is None or used[0] is None:
        return True
    cheaper = costs[1] is None or costs[1] < costs[0] * 0.97
    more = used[1] is not None and used[1] > used[0] * 1.03
    return cheaper or more


def _generator_full(counter: Stage) -> bool:
    return bool(counter["verdict"]["code"] == "generator-limited")


def _sentence(
    before: float | None, after: float | None, lift: float | None, change: Change, answer: str
) -> str:
    if lift is None or before is None or after is None:
        return f"The counter-experiment ({change.words}) could not be measured."
    moved = "lifted" if lift >= 0 else "took"
    numbers = f"{change.words} {moved} {before:,.0f} to {after:,.0f} RPS ({lift:+.0%})"
    tail = {
        "confirmed": f"{change.cause} is confirmed",
        "refuted": f"{change.cause} is refuted as the limit",
        "inconclusive": "that neither confirms nor refutes it",
    }[answer]
    return f"{numbers[0].upper()}{numbers[1:]}: {tail}."
