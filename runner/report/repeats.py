"""Repeats of the same stage: one row of medians with their intervals, and who stands out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.report import number_format
from runner.report.headlines import TITLES, shown
from runner.report.markdown_text import escape, table

Configuration = Mapping[str, Any]


def repeats(configuration: Configuration) -> dict[str, Any] | None:
    """A table and sentences; None when nothing was repeated."""
    groups = configuration.get("repeats") or []
    if not groups:
        return None
    keys = [key for key in TITLES if any(key in group["metrics"] for group in groups)]
    rows = [
        [
            escape(group["stage"]),
            number_format.count(group["n"]),
            *(_cell(key, group["metrics"].get(key)) for key in keys),
        ]
        for group in groups
    ]
    return {
        "table": table(["Stage", "Repeats", *(TITLES[key] for key in keys)], rows),
        "lines": [line for group in groups for line in _lines(group, configuration)],
    }


def _cell(key: str, metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return number_format.NOT_MEASURED
    middle, low, high = (shown(key, metric[each]) for each in ("median", "low", "high"))
    if metric["low"] is None or low == high == middle:
        return middle
    return f"{middle} ({low} to {high})"


def _lines(group: Mapping[str, Any], configuration: Configuration) -> Iterator[str]:
    repeat = {stage["order"]: stage["repeat"] for stage in configuration["stages"]}

    def named(order: int) -> str:
        return f"repeat {repeat.get(order, '?')}"

    stage = escape(group["stage"])
    if group["left_out"]:
        yield f"{stage}: {number_format.listed([named(order) for order in group['left_out']])} could not be used."
    for key, metric in group["metrics"].items():
        for outlier in metric["outliers"]:
            yield (
                f"{stage}, {named(outlier['order'])}: {TITLES.get(key, escape(key))} "
                f"{shown(key, outlier['value'])} stands far from the others. It is kept in every figure."
            )
