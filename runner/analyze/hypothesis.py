"""What was expected to limit a configuration, held against what does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Stage = Mapping[str, Any]

_MEANT: Final = {
    "connection-limited": (
        "connection set-up",
        "connection set-up between proxy and app",
        "the accept queue",
    ),
    "forwarder-limited": ("docker-proxy",),
    "proxy-cpu-limited": ("the proxy", "the number of the proxy's workers"),
    "app-cpu-limited": ("the app",),
}
"""Causes by the words of `runner.experiment.counter_experiments` that somebody who expects a limit has in mind."""


def hypothesis(expected: str | None, stages: Sequence[Stage]) -> dict[str, Any] | None:
    """Whether the limit that was expected is the one that was met.

    Args:
        expected: A verdict's code; None when nothing was expected.
        stages: As in results.json.

    Returns:
        ``{expected, answer, stage, why}``: ``confirmed`` or ``refuted`` by the lowest rate that fell short
        (by all, when none was to fall short), ``open`` when its limit could not be shown. None without a
        hypothesis, or when nothing was measured.
    """
    ran = [
        each for each in stages if each["achieved"] is not None and each["validity"]["status"] != "invalid"
    ]
    if expected is None or not ran:
        return None
    short = sorted(
        (each for each in ran if _code(each) != "within-capacity"), key=lambda each: each["target_rps"]
    )
    if not short:
        answer = "confirmed" if expected == "within-capacity" else "refuted"
        return _answer(
            expected, answer, ran[-1], "every rate that was offered was answered, so no limit was met"
        )
    stage = short[0]
    code = _code(stage)
    if code == expected:
        return _answer(expected, "confirmed", stage, _verdict(stage))
    if code == "undetermined" and stage["verdict"].get("withdrawn") != expected:
        return _answer(expected, "open", stage, "no counter shows what limits it")
    withdrawn = stage["verdict"].get("withdrawn") == expected
    why = "its counter-experiment refuted it" if withdrawn else f"{_verdict(stage)}{_behind(stage, expected)}"
    return _answer(expected, "refuted", stage, why)


def _code(stage: Stage) -> str:
    return str(stage["verdict"]["code"])


def _verdict(stage: Stage) -> str:
    return f"the verdict is {_code(stage)} ({stage['verdict']['confidence']})"


def _behind(stage: Stage, expected: str) -> str:
    """What a counter-experiment showed to use the limit up; one limit may be met because of another thing."""
    experiment = stage["verdict"].get("counter_experiment") or {}
    if experiment.get("answer") != "confirmed":
        return ""
    cause, sentence = experiment["cause"], str(experiment["sentence"])
    meant = cause in _MEANT.get(expected, ())
    joined = "what was expected lies behind it all the same" if meant else f"what lies behind it is {cause}"
    return f"; {joined}: {sentence[:1].lower()}{sentence[1:].removesuffix('.')}"


def _answer(expected: str, answer: str, stage: Stage, why: str) -> dict[str, Any]:
    return {"expected": expected, "answer": answer, "stage": stage["name"], "why": why}
