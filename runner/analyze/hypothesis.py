"""What was expected to limit a configuration, held against what does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Stage = Mapping[str, Any]


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
        return _answer(expected, answer, ran[-1], "every rate that was offered was answered")
    stage = short[0]
    code = _code(stage)
    if code == expected:
        return _answer(
            expected, "confirmed", stage, f"the verdict is {code} ({stage['verdict']['confidence']})"
        )
    if code == "undetermined" and stage["verdict"].get("withdrawn") != expected:
        return _answer(expected, "open", stage, "no counter shows what limits it")
    withdrawn = stage["verdict"].get("withdrawn") == expected
    why = "its counter-experiment refuted it" if withdrawn else f"the verdict is {code}"
    return _answer(expected, "refuted", stage, why)


def _code(stage: Stage) -> str:
    return str(stage["verdict"]["code"])


def _answer(expected: str, answer: str, stage: Stage, why: str) -> dict[str, Any]:
    return {"expected": expected, "answer": answer, "stage": stage["name"], "why": why}
