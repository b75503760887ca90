"""Thresholds against a stage's numbers."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.analyze.latency import LATENCIES
from runner.experiment.thresholds import Threshold

_OPERATORS: Final = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


def evaluate(thresholds: Sequence[Threshold], stage: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each threshold with its value; one on something that was not measured fails with None."""
    return [_evaluate(threshold, stage) for threshold in thresholds]


def _evaluate(threshold: Threshold, stage: Mapping[str, Any]) -> dict[str, Any]:
    value = metric(stage, threshold.metric)
    ok = value is not None and bool(_OPERATORS[threshold.op](value, threshold.bound))
    return {"expr": threshold.expr, "ok": ok, "value": value}


def metric(stage: Mapping[str, Any], path: str) -> float | None:
    """A metric of a stage by its dotted path, in the unit of results.json; None when not measured."""
    first, *rest = path.split(".")
    if first in LATENCIES:
        return _number(stage[f"{first}_ms"], rest)
    if first in {"cpu", "memory"}:
        return _number(stage["cpu_cores" if first == "cpu" else "memory_mib"], rest)
    if first == "errors":
        return errors(stage)
    if first == "dropped":
        return float(stage["requests"]["dropped"])
    return _number(stage, [first])


def errors(stage: Mapping[str, Any]) -> float | None:
    """Share of the scheduled requests that failed or were dropped; None when none were scheduled."""
    requests = stage["requests"]
    if not requests["scheduled"]:
        return None
    share: float = (requests["failed"] + requests["dropped"]) / requests["scheduled"]
    return share


def _number(node: Any, path: Sequence[str]) -> float | None:
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return float(node) if isinstance(node, int | float) else None
