"""The sentences about a fit of the Universal Scalability Law."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runner.analyze.usl import PARAMETERS, Intervals, Law, Point
from runner.core.codes import Limit, RateUnit
from runner.core.units import percent

_FASTER: Final = 1.05
_FAR: Final = 2.0
_NOT_ITS_OWN: Final = frozenset({Limit.HOST_CPU, Limit.GENERATOR})


@dataclass(frozen=True, slots=True)
class KnownCapacity:
    """A capacity, its origin (``search`` or ``overload``), and what limited it, if that is known."""

    point: Point
    source: str
    limited_by: Limit | None


def sentences(
    capacities: Sequence[KnownCapacity],
    law: Law | None,
    ranges: Intervals | None,
    without: Sequence[str],
    unit: RateUnit = RateUnit.REQUESTS,
) -> list[str]:
    """Return what follows from a fit, or why there is none; some sentences may be empty.

    Without `ranges`, the uncertainty of the law is unknown. `without` are configurations whose limit was not
    found.
    """
    counts = sorted({known.point.replicas for known in capacities})
    missing = f"The fit excludes {' and '.join(without)}: no limit was found there." if without else ""
    if law is None:
        return [missing, _not_fitted(counts)]
    fewest, most = _mean(capacities, counts[0]), _mean(capacities, counts[-1])
    outlook = _outlook(law, counts[-1], ranges, unit)
    fitted = [_speed_up(fewest, most, unit), _parameters(law, ranges), outlook]
    return [missing, *fitted, _superlinear(fewest, most), _shared_host(capacities)]


def _not_fitted(counts: Sequence[int]) -> str:
    if len(counts) >= PARAMETERS:
        return "No law can be fitted: the capacities do not determine the capacity of one replica."
    return (
        f"The law has three parameters. A known limit at {len(counts)} number{'s'[: len(counts) != 1]} of "
        "replicas cannot separate contention from coherency, so nothing is fitted."
    )


def _mean(capacities: Sequence[KnownCapacity], replicas: int) -> Point:
    """Return the mean of all repeats with a number of replicas."""
    rates = [known.point.rate for known in capacities if known.point.replicas == replicas]
    rate = sum(rates) / len(rates)
    return Point(replicas, rate, rate)


def _speed_up(fewest: Point, most: Point, unit: RateUnit) -> str:
    factor = most.rate / fewest.rate
    share = factor * fewest.replicas / most.replicas
    return (
        f"From {fewest.replicas} to {most.replicas} replicas, capacity changed from {fewest.rate:,.0f} to "
        f"{most.rate:,.0f} {unit}, a factor of {factor:.2f}: {percent(share)} of linear scaling."
    )


def _parameters(law: Law, ranges: Intervals | None) -> str:
    contention = f"contention σ is {law.contention:.3f}{_interval(ranges.contention if ranges else None)}"
    coherency = f"coherency κ is {law.coherency:.4f}{_interval(ranges.coherency if ranges else None)}"
    exact = "" if ranges else " The points determine the law exactly, so its uncertainty is unknown."
    return f"In the Universal Scalability Law, {contention} and {coherency}.{exact}"


def _interval(interval: tuple[float, float] | None) -> str:
    return f" (95 %: {interval[0]:.4g} to {interval[1]:.4g})" if interval else ""


def _outlook(law: Law, most: int, ranges: Intervals | None, unit: RateUnit) -> str:
    """Return what more replicas would bring."""
    if law.contention == 0 and law.coherency == 0:
        return f"Up to {most} replicas, nothing limits scaling; the end of scaling was not reached."
    if law.coherency == 0:
        return (
            "No coherency cost is visible, so more replicas do no harm, but no number of them exceeds "
            f"{law.ceiling:,.0f} {unit}."
        )
    if law.peak < 1.5:
        return "Another replica does not help: one replica already has the highest capacity."
    spread = far = ""
    if ranges:
        low, high = ranges.peak
        spread = f" (95 %: {low:.1f} to {f'{high:.1f}' if math.isfinite(high) else 'no bound'})"
    if law.peak > _FAR * most:
        far = f" That is far beyond the {most} replicas measured, so it is only a hint."
    return (
        f"Adding replicas helps up to about {law.peak:.1f}{spread}, with a capacity of {law.ceiling:,.0f} "
        f"{unit}; each further replica lowers it.{far}"
    )


def _superlinear(fewest: Point, most: Point) -> str:
    if most.rate / most.replicas <= _FASTER * fewest.rate / fewest.replicas:
        return ""
    return (
        "Capacity grew faster than the number of replicas, which the law cannot describe: something else "
        "changed with it."
    )


def _shared_host(capacities: Sequence[KnownCapacity]) -> str:
    """Return from where on the shared host, and not the service, limits scaling."""
    foreign = [known for known in capacities if known.limited_by in _NOT_ITS_OWN]
    if not foreign:
        return ""
    first = min(foreign, key=lambda known: (known.point.replicas, known.limited_by))
    return (
        f"With {first.point.replicas} replicas, the verdict is {first.limited_by}: from there on, the host "
        "limits the capacity and not only the replicas."
    )
