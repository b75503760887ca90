"""Repeats of a stage taken together: the middle, how sure it is, and who stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from runner.analyze.key_metrics import HEADLINES, Headline, measured
from runner.analyze.statistics import median_interval, outliers

Stage = Mapping[str, Any]


def repeats(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Every stage that was asked for more than once, in order of the first time.

    Returns:
        ``stage``, ``n`` (how many could be used), ``left_out`` (orders of those that could not) and
        ``metrics``, by name: ``median``, ``low`` and ``high`` of its 95 % interval (null for fewer than
        three) and ``outliers``, each with its ``order`` and ``value``.
    """
    groups: dict[str, list[Stage]] = {}
    for stage in stages:
        if not stage.get("find"):
            groups.setdefault(stage["name"], []).append(stage)
    return [_together(name, group) for name, group in groups.items() if len(group) > 1]


def _together(name: str, group: Sequence[Stage]) -> dict[str, Any]:
    used = [stage for stage in group if measured(stage)]
    metrics = {headline.key: _metric(headline, used) for headline in HEADLINES}
    return {
        "stage": name,
        "n": len(used),
        "left_out": [stage["order"] for stage in group if not measured(stage)],
        "metrics": {key: found for key, found in metrics.items() if found},
    }


def _metric(headline: Headline, stages: Sequence[Stage]) -> dict[str, Any] | None:
    known = [(stage["order"], value) for stage in stages if (value := headline.value(stage)) is not None]
    if not known:
        return None
    values = [value for _, value in known]
    interval = median_interval(values)
    return {
        "median": median(values),
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "outliers": [{"order": known[at][0], "value": known[at][1]} for at in outliers(values)],
    }
