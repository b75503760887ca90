"""How evenly the requests of a ramp leave, beside those of a constant rate."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from infra.bench.figures import offer_stage, truth_server
from runner.core.units import NS_PER_S
from runner.load.pacing import RampPacer

FIRST, LAST, SECONDS = 500, 1500, 6
MEAN = (FIRST + LAST) // 2
SETTLED_NS = NS_PER_S
"""Arrivals before are those of connections that are being opened."""


def ramp_spacing(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the 99th percentile of the gaps' error at the receiver, of a ramp and of a constant rate.

    Both are measured in turn; figures are medians of the rounds, in microseconds.
    """
    levels: dict[str, Any] = {"ramp": {"from": FIRST, "to": LAST}, "constant": MEAN}
    found: dict[str, list[float]] = {name: [] for name in levels}
    for number in range(rounds):
        for name in (levels, reversed(levels))[number % 2]:
            say(f"round {number + 1}/{rounds}: spacing of a {name} rate")
            found[name].append(_error_p99_us(levels[name]))
    medians = {f"{name}_p99_us": statistics.median(errors) for name, errors in found.items()}
    return {"from": FIRST, "to": LAST, "constant": MEAN, **medians}


def _error_p99_us(level: Any) -> float:
    with truth_server("arrivals") as (port, told):
        offer_stage(port, level, SECONDS, warmup=0, max_in_flight=4000)
    planned = _even(level) if level == MEAN else list(RampPacer(FIRST, LAST, 0, SECONDS).arrivals())
    begin = sum(instant < SETTLED_NS for instant in planned)
    pairs = zip(gaps_us(told["arrivals"])[begin:], gaps_us(planned)[begin:], strict=True)
    errors = sorted(abs(seen - plan) for seen, plan in pairs)
    return errors[len(errors) * 99 // 100]


def _even(rate: int) -> Sequence[int]:
    return [number * NS_PER_S // rate for number in range(rate * SECONDS)]


def gaps_us(instants_ns: Iterable[int]) -> list[float]:
    """Return the time between each instant and the next."""
    return [(after - before) / 1e3 for before, after in itertools.pairwise(sorted(instants_ns))]
