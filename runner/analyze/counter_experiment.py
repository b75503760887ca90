"""What a counter-experiment says of a verdict: confirmed, refuted, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from runner.analyze.capacity_text import milliseconds
from runner.analyze.validity import GENERATOR_SATURATED
from runner.core.units import percent
from runner.experiment.counter_experiments import Change

Stage = Mapping[str, Any]

LIFTED: Final = 0.10
"""From this much more throughput on, the change lifted the limit; Loadproof's own bound."""
NOT_LIFTED: Final = 0.03
"""Below this much more, it did not."""
RELIEVED: Final = 0.5
"""A p95 response time that falls to this part of itself says that a queue is gone; our own bound."""


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
        "sentence": _sentence(stage, counter, lift, change, answer),
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
    if _saturated(stage):
        return "inconclusive"
    held = counter["verdict"]["code"] == "within-capacity"  # no more was asked for than it answered
    if lift >= LIFTED or (held and (lift > NOT_LIFTED or _relieved(stage, counter))):
        return "confirmed" if _consistent(stage, counter) else "inconclusive"
    if held:
        return "inconclusive"
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


def _relieved(stage: Stage, counter: Stage) -> bool:
    """Whether a stage that was just short of its target has lost its queue, too."""
    before, after = _p95(stage), _p95(counter)
    return before is not None and after is not None and after <= before * RELIEVED


def _p95(stage: Stage) -> float | None:
    found: float | None = (stage.get("response_time_ms") or {}).get("p95")
    return found


def _saturated(stage: Stage) -> bool:
    """Whether the generator may itself have been the limit: what makes it cheaper shows nothing then."""
    usage, workers = stage["cpu_cores"].get("generator"), stage.get("workers")
    if stage["verdict"]["code"] in {"generator-limited", *_CPU_OF} or stage.get("engine") != "builtin":
        return False  # a CPU that was full is a fact of its own
    return bool(usage and workers and usage["avg"] >= GENERATOR_SATURATED * workers)


def _generator_full(counter: Stage) -> bool:
    return bool(counter["verdict"]["code"] == "generator-limited")


def _sentence(stage: Stage, counter: Stage, lift: float | None, change: Change, answer: str) -> str:
    if lift is None:
        return f"The counter-experiment ({change.words}) could not be measured."
    numbers = f"{change.words} {_moved(stage, counter, lift, answer)}"
    tail = {
        "confirmed": f"{change.cause} is confirmed{_as_what(stage['verdict']['code'], change.cause)}",
        "refuted": f"{change.cause} is refuted as the limit",
        "inconclusive": f"that neither confirms nor refutes {change.cause}"
        + _why_open(stage, counter, lift, change),
    }[answer]
    return f"{numbers[0].upper()}{numbers[1:]}: {tail}."


def _moved(stage: Stage, counter: Stage, lift: float, answer: str) -> str:
    """What the change did, in numbers."""
    before, after = stage["actual_rps"], counter["actual_rps"]
    if answer == "confirmed" and lift <= NOT_LIFTED:
        return (
            f"took the p95 response time from {milliseconds(_p95(stage) or 0.0)} to "
            f"{milliseconds(_p95(counter) or 0.0)} ms at {after:,.0f} RPS, which is all that was asked for"
        )
    moved = "left" if abs(lift) <= NOT_LIFTED else "lifted" if lift > 0 else "lowered"
    at = "at" if moved == "left" else "to"
    return f"{moved} {before:,.0f} {at} {after:,.0f} RPS ({percent(lift, signed=True)})"


def uses_up(code: str, cause: str) -> str:
    """Whose CPU a confirmed cause uses up; empty where the cause is the limit itself."""
    return _CPU_OF_WHOM.get(code, "") if code == "host-cpu-limited" or cause.startswith("connection") else ""


_CPU_OF_WHOM: Final = {
    "host-cpu-limited": "the host's CPU",
    "app-cpu-limited": "the app's CPU",
    "proxy-cpu-limited": "the proxy's CPU",
}


def _as_what(code: str, cause: str) -> str:
    """That a CPU is full is one thing; what uses it up is another question, and the one that helps."""
    if whose := uses_up(code, cause):
        return f" as what uses {whose} up"
    return " as a part of it, though no counter shows how" if code == "undetermined" else " as the limit"


def _why_open(stage: Stage, counter: Stage, lift: float, change: Change) -> str:
    if _saturated(stage):
        return ", for the generator itself was nearly full"
    if counter["status"] != "complete" or counter["validity"]["status"] == "invalid":
        return ", for the second run is not valid"
    if counter["verdict"]["code"] == "within-capacity":
        return ", for no more was asked for"
    return ", for the change also adds a hop" if not change.clean and lift <= NOT_LIFTED else ""
