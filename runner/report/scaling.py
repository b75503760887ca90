"""How far more replicas help: measured and fitted capacities, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.results import Results, ScalingPoint
from runner.report import number_format
from runner.report.markdown_text import Markdown, markdown, table
from runner.report.number_format import NOT_APPLICABLE
from runner.report.section import Section


def curves(results: Results) -> list[Section]:
    """Return heading, sentence, table and method of every curve over replicas that has a point."""
    found = [scaling for scaling in results.scaling if scaling.points]
    several = len(found) > 1
    return [
        Section(
            heading=f"Replicas: {', '.join(scaling.configurations)}" if several else "Replicas",
            sentence=markdown("{}", scaling.sentence),
            table=_table(scaling.points),
            method=markdown("Method: {}.", scaling.method),
        )
        for scaling in found
    ]


def _table(points: Sequence[ScalingPoint]) -> Markdown:
    fewest = points[0]
    one = _per_replica(fewest)
    rows = [
        [
            str(point.replicas),
            number_format.rate(point.rps),
            _range(point),
            NOT_APPLICABLE if point.fitted_rps is None else number_format.rate(point.fitted_rps),
            number_format.rate(_per_replica(point)),
            number_format.share(_per_replica(point) / one) if one else NOT_APPLICABLE,
            point.limited_by or NOT_APPLICABLE,
        ]
        for point in points
    ]
    base = number_format.plural(fewest.replicas, "replica")
    head = ["Replicas", "Capacity (RPS)", "Range", "Fitted", "Per replica", f"Relative to {base}"]
    return table([*head, "Limited by"], rows, words=(6,))


def _per_replica(point: ScalingPoint) -> float:
    return point.rps / max(point.replicas, 1)


def _range(point: ScalingPoint) -> str:
    if point.source == "overload":
        return "throughput under overload"
    return f"{number_format.rate(point.low_rps)} to {number_format.rate(point.high_rps)}"
