"""How far more replicas help: the Universal Scalability Law over configurations alike.

A family is all configurations that differ in nothing but their replicas, whether a matrix made them
or somebody wrote them down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.analyze.rules.errors import ACHIEVED
from runner.analyze.scaling_text import Measured, sentences
from runner.analyze.usl import Intervals, Law, Point, fit, intervals
from runner.experiment.model import Configuration, ExternalTopology

Found = Mapping[str, Any]

METHOD: Final = (
    "Universal Scalability Law (Gunther, 1993 and 2007), X(N) = λN / (1 + σ(N − 1) + κN(N − 1)), by linear "
    "least squares on N/X to relative errors with σ and κ not negative. A search counts as the middle "
    "between the highest rate that held and the lowest that did not. 95 % intervals are from 1,000 fits to "
    "throughputs drawn from between the two (JCGM 101:2008), off by the errors the fit has left"
)


def scaling(pairs: Sequence[tuple[Configuration, Found]]) -> list[dict[str, Any]]:
    """An entry of results.json for every family of configurations that differ in their replicas alone.

    Args:
        pairs: What was asked and what was found, a configuration each.
    """
    families: list[list[tuple[Configuration, Found]]] = []
    for asked, found in pairs:
        if isinstance(asked.topology, ExternalTopology):
            continue
        family = next((each for each in families if _alone(each[0][0]) == _alone(asked)), None)
        if family is None:
            families.append([(asked, found)])
        else:
            family.append((asked, found))
    return [_entry(family) for family in families if len({_replicas(asked) for asked, _ in family}) > 1]


def _replicas(configuration: Configuration) -> int:
    assert not isinstance(configuration.topology, ExternalTopology)
    return configuration.topology.replicas


def _alone(configuration: Configuration) -> Configuration:
    """What it has in common with its family."""
    topology = configuration.topology.model_copy(update={"replicas": 1})
    return configuration.model_copy(update={"name": "", "title": None, "topology": topology})


def _entry(family: Sequence[tuple[Configuration, Found]]) -> dict[str, Any]:
    family = sorted(family, key=lambda pair: _replicas(pair[0]))
    measured = {asked.name: _measured(_replicas(asked), found) for asked, found in family}
    every = [each for points in measured.values() for each in points]
    points = [point for point, _, _ in every]
    law = fit(points)
    ranges = intervals(points, law) if law else None
    without = [name for name, found in measured.items() if not found]
    return {
        "configurations": [asked.name for asked, _ in family],
        "points": [
            {
                "configuration": name,
                "replicas": point.replicas,
                "rps": round(point.rate, 2),
                "low_rps": point.low,
                "high_rps": point.high,
                "source": source,
                "limited_by": code,
                "fitted_rps": round(law.at(point.replicas), 2) if law else None,
            }
            for name, found in measured.items()
            for point, source, code in found
        ],
        "without": without,
        "law": _law(law, ranges) if law else None,
        "method": METHOD,
        "sentence": " ".join(filter(None, sentences(every, law, ranges, without))),
    }


def _measured(replicas: int, found: Found) -> list[Measured]:
    """Every capacity that was found, else the most that a stage answered when it was asked for more."""
    searched = [
        (Point(replicas, each["held_rps"], each["failed_rps"]), "search", each["limited_by"])
        for each in found["capacity"]
        if each["rps"] is not None and each["failed_rps"] is not None
    ]
    if searched:
        return searched
    full = [
        stage
        for stage in found["stages"]
        if "find" not in stage
        and stage["actual_rps"]
        and stage["achieved"] < ACHIEVED
        and stage["validity"]["status"] != "invalid"
    ]
    repeats = {stage["repeat"] for stage in full}
    best = [max((s for s in full if s["repeat"] == n), key=lambda s: float(s["actual_rps"])) for n in repeats]
    return [
        (Point(replicas, s["actual_rps"], s["actual_rps"]), "overload", s["verdict"]["code"]) for s in best
    ]


def _law(law: Law, ranges: Intervals | None) -> dict[str, Any]:
    return {
        "rps_of_one": round(law.alone, 2),
        "contention": round(law.contention, 6),
        "contention_95": _finite(ranges.contention) if ranges else None,
        "coherency": round(law.coherency, 6),
        "coherency_95": _finite(ranges.coherency) if ranges else None,
        "peak_replicas": _or_none(law.peak, 2),
        "peak_95": _finite(ranges.peak) if ranges else None,
        "ceiling_rps": _or_none(law.ceiling, 2),
    }


def _finite(interval: tuple[float, float]) -> list[float | None]:
    return [_or_none(value, 6) for value in interval]


def _or_none(value: float, digits: int) -> float | None:
    """JSON knows no infinity."""
    return round(value, digits) if math.isfinite(value) else None
