"""How far more replicas help: measured beside fitted, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.report import number_format
from runner.report.markdown_text import escape, table

Point = Mapping[str, Any]


def curves(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """Heading, table, sentence and method of every curve over replicas that has a point."""
    found = [each for each in results.get("scaling", ()) if each["points"]]
    return [
        {
            "heading": _heading(each, len(found)),
            "table": _table(each["points"]),
            "sentence": escape(each["sentence"]),
            "method": f"Method: {escape(each['method'])}.",
        }
        for each in found
    ]


def _heading(curve: Mapping[str, Any], several: int) -> str:
    return f"Replicas: {escape(', '.join(curve['configurations']))}" if several > 1 else "Replicas"


def _table(points: Sequence[Point]) -> str:
    one = points[0]["rps"] / points[0]["replicas"]
    rows = [
        [
            str(point["replicas"]),
            number_format.rate(point["rps"]),
            _bracket(point),
            "–" if point["fitted_rps"] is None else number_format.rate(point["fitted_rps"]),
            number_format.rate(point["rps"] / point["replicas"]),
            number_format.share(point["rps"] / point["replicas"] / one),
            escape(point["limited_by"] or "–"),
        ]
        for point in points
    ]
    fewest = number_format.plural(points[0]["replicas"], "replica")
    head = ["Replicas", "RPS", "Between", "Fitted", "Each", f"Of what {fewest} did", "Limited by"]
    return table(head, rows, words=(6,))


def _bracket(point: Point) -> str:
    if point["source"] == "overload":
        return "answered when asked for more"
    return f"{number_format.rate(point['low_rps'])} and {number_format.rate(point['high_rps'])}"
