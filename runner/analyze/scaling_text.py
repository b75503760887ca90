"""What a fit of the Universal Scalability Law says, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from runner.analyze.usl import PARAMETERS, Intervals, Law, Point
from runner.core.units import percent

Measured: TypeAlias = tuple[Point, str, str | None]
"""A point, how it was found, and the code of what limited it."""

_FASTER: Final = 1.05
_FAR: Final = 2.0
_NOT_ITS_OWN: Final = ("host-cpu-limited", "generator-limited")


def sentences(
    measured: Sequence[Measured], law: Law | None, ranges: Intervals | None, without: Sequence[str]
) -> list[str]:
    """What follows, or why nothing does; empty ones may be left out.

    Args:
        measured: Every point that is known.
        law: What fits them, None when nothing can.
        ranges: How sure that is, None when nothing tells.
        without: Configurations whose limit was not found.
    """
    counts = sorted({point.replicas for point, _, _ in measured})
    missing = f"No limit was found for {' and '.join(without)}, so it says nothing here." if without else ""
    if law is None:
        return [missing, _too_few(counts)]
    return [
        missing,
        _speed_up(measured),
        _causes(law, ranges),
        _reach(law, counts[-1], ranges),
        _faster(measured),
        _whose(measured),
    ]


def _too_few(counts: Sequence[int]) -> str:
    if len(counts) >= PARAMETERS:
        return "No law follows from these points: they do not tell what one replica does."
    return (
        f"The law has three parameters, and {len(counts)} number{'s'[: len(counts) != 1]} of replicas with a "
        "known limit cannot tell contention from coherency: nothing is fitted."
    )


def _speed_up(measured: Sequence[Measured]) -> str:
    least, most = _mean(measured, least=True), _mean(measured, least=False)
    times = most.rate / least.rate
    share = times * least.replicas / most.replicas
    return (
        f"From {least.replicas} to {most.replicas} replicas the capacity went from {least.rate:,.0f} to "
        f"{most.rate:,.0f} RPS, {times:.2f} times as much: {percent(share)} of what as many independent "
        "ones would do."
    )


def _mean(measured: Sequence[Measured], *, least: bool) -> Point:
    """The fewest or the most replicas, with the mean of their repeats."""
    counts = [point.replicas for point, _, _ in measured]
    which = min(counts) if least else max(counts)
    rates = [point.rate for point, _, _ in measured if point.replicas == which]
    rate = sum(rates) / len(rates)
    return Point(which, rate, rate)


def _causes(law: Law, ranges: Intervals | None) -> str:
    contention = f"contention σ is {law.contention:.3f}{_within(ranges.contention if ranges else None)}"
    coherency = f"coherency κ {law.coherency:.4f}{_within(ranges.coherency if ranges else None)}"
    exact = "" if ranges else " The points determine the law exactly, so nothing tells how sure it is."
    return f"By the Universal Scalability Law {contention} and {coherency}.{exact}"


def _within(interval: tuple[float, float] | None) -> str:
    return f" (95 %: {interval[0]:.4g} to {interval[1]:.4g})" if interval else ""


def _reach(law: Law, most: int, ranges: Intervals | None) -> str:
    """What adding replicas brings from here on."""
    if law.contention == 0 and law.coherency == 0:
        return f"Up to {most} replicas nothing speaks against adding more; where it ends was not reached."
    if law.coherency == 0:
        return (
            f"Coherency does not show, so more replicas never harm, but however many there are they "
            f"cannot exceed {law.ceiling:,.0f} RPS."
        )
    if law.peak < 1.5:
        return "Another replica would not help: one does as much as any number of them."
    spread = ""
    if ranges:
        low, high = ranges.peak
        spread = f" (95 %: {low:.1f} to {f'{high:.1f}' if math.isfinite(high) else 'no bound'})"
    far = ""
    if law.peak > _FAR * most:
        far = f" That is far beyond the {most} that were measured: take it as a hint."
    return (
        f"Adding replicas helps up to about {law.peak:.1f}{spread}, where the capacity would be "
        f"{law.ceiling:,.0f} RPS; beyond, each one more lowers it.{far}"
    )


def _faster(measured: Sequence[Measured]) -> str:
    """Growth that the law cannot describe."""
    least, most = _mean(measured, least=True), _mean(measured, least=False)
    if most.rate / most.replicas <= _FASTER * least.rate / least.replicas:
        return ""
    return (
        "The capacity grew faster than the replicas, which the law knows nothing of: something other than "
        "their number changed with it."
    )


def _whose(measured: Sequence[Measured]) -> str:
    """Whether the curve is the service's own or that of the host it shares with the generator."""
    foreign = [(point.replicas, code) for point, _, code in measured if code in _NOT_ITS_OWN]
    if not foreign:
        return ""
    replicas, code = min(foreign)
    return (
        f"With {replicas} replicas the limit was {code}: from there on the curve bends for want of a larger "
        "host, and not only for what the replicas do to each other."
    )
