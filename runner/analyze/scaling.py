"""How capacity scales with replicas: the Universal Scalability Law over families of configurations.

A family is all configurations that differ only in their number of replicas, from a matrix or listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from runner.analyze.scaling_text import KnownCapacity, sentences
from runner.analyze.statistics import rounded
from runner.analyze.usl import Intervals, Law, Point, fit, intervals
from runner.core.codes import RateUnit, Validity
from runner.core.limits import ACHIEVED
from runner.core.results import ConfigurationResults
from runner.core.scaling_results import Interval, Scaling, ScalingLaw, ScalingPoint
from runner.experiment.model import Configuration

METHOD: Final = (
    "Universal Scalability Law (Gunther, 1993 and 2007), X(N) = λN / (1 + σ(N − 1) + κN(N − 1)), by linear "
    "least squares on N/X to relative errors with σ and κ not negative. The capacity of a search is the "
    "middle between the highest sustained rate and the lowest failed rate. 95 % intervals come from 1,000 "
    "fits to capacities drawn from that range (JCGM 101:2008), with the residual errors of the fit"
)


def scaling(pairs: Sequence[tuple[Configuration, ConfigurationResults]]) -> tuple[Scaling, ...]:
    """Return an entry for every family of configurations, from each as specified and its results."""
    families: list[tuple[Configuration, list[tuple[int, ConfigurationResults]]]] = []
    for configuration, measured in pairs:
        topology = configuration.topology.with_replicas(1)
        common = configuration.model_copy(update={"name": "", "title": None, "topology": topology})
        family = next((members for shared, members in families if shared == common), None)
        if family is None:
            families.append((common, family := []))
        family.append((configuration.topology.replicas, measured))
    return tuple(_entry(members) for _, members in families if len({replicas for replicas, _ in members}) > 1)


def _entry(family: Sequence[tuple[int, ConfigurationResults]]) -> Scaling:
    ordered = sorted(family, key=lambda member: member[0])
    units = {search.unit for _, measured in ordered for search in measured.capacity}
    unit = RateUnit.USERS if RateUnit.USERS in units else RateUnit.REQUESTS
    known = {measured.name: _capacities(replicas, measured, unit) for replicas, measured in ordered}
    every = [(name, capacity) for name, capacities in known.items() for capacity in capacities]
    points = [capacity.point for _, capacity in every]
    law = fit(points)
    ranges = intervals(points, law) if law else None
    without = [name for name, capacities in known.items() if not capacities]
    return Scaling(
        configurations=tuple(known),
        points=tuple(_point(name, capacity, law) for name, capacity in every),
        without=tuple(without),
        law=_law(law, ranges) if law else None,
        method=METHOD,
        sentence=" ".join(
            filter(None, sentences([capacity for _, capacity in every], law, ranges, without, unit))
        ),
        unit=unit,
    )


def _point(name: str, capacity: KnownCapacity, law: Law | None) -> ScalingPoint:
    point = capacity.point
    return ScalingPoint(
        configuration=name,
        replicas=point.replicas,
        rps=round(point.rate, 2),
        low_rps=point.low,
        high_rps=point.high,
        source=capacity.source,
        limited_by=capacity.limited_by,
        fitted_rps=round(law.at(point.replicas), 2) if law else None,
    )


def _capacities(replicas: int, measured: ConfigurationResults, unit: RateUnit) -> list[KnownCapacity]:
    """Return every capacity that a search found, else the highest throughput of overloaded stages."""
    searched = [
        KnownCapacity(Point(replicas, search.held_rps, search.failed_rps), "search", search.limited_by)
        for search in measured.capacity
        if search.rps is not None and search.held_rps is not None and search.failed_rps is not None
    ]
    return searched or _overloaded(replicas, measured, unit)


def _overloaded(replicas: int, measured: ConfigurationResults, unit: RateUnit) -> list[KnownCapacity]:
    """Return the highest throughput, per repeat, of stages that fell short of their target."""
    best: dict[int, KnownCapacity] = {}
    for stage in measured.stages:
        rate = stage.scenarios_per_s if unit is RateUnit.USERS else stage.actual_rps
        achieved = stage.achieved
        if stage.find or not rate or achieved is None or achieved >= ACHIEVED:
            continue
        known = best.get(stage.repeat)
        if stage.validity.status is not Validity.INVALID and (known is None or rate > known.point.low):
            point = Point(replicas, rate, rate)
            best[stage.repeat] = KnownCapacity(point, "overload", stage.verdict.code)
    return [best[repeat] for repeat in sorted(best)]


def _law(law: Law, ranges: Intervals | None) -> ScalingLaw:
    return ScalingLaw(
        rps_of_one=round(law.alone, 2),
        contention=round(law.contention, 6),
        contention_95=_finite(ranges.contention) if ranges else None,
        coherency=round(law.coherency, 6),
        coherency_95=_finite(ranges.coherency) if ranges else None,
        peak_replicas=rounded(law.peak, 2),
        peak_95=_finite(ranges.peak) if ranges else None,
        ceiling_rps=rounded(law.ceiling, 2),
    )


def _finite(interval: tuple[float, float]) -> Interval:
    low, high = interval
    return rounded(low, 6), rounded(high, 6)
