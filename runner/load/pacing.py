"""Open-loop pacing: every request leaves when it is due, however slow the server.

A closed loop waits for one answer before it asks again, so a stalled server is asked
less and looks faster than its users find it (Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import repeat
from typing import TypeAlias

from runner.core.units import NS_PER_S, Nanoseconds, PerSecond, Seconds

Arrivals: TypeAlias = Iterator[Nanoseconds]
Bunch: TypeAlias = tuple[Nanoseconds, int]
"""When requests are due together, and how many."""


def planned(rate: PerSecond, duration: Seconds, warmup: Seconds = 0.0) -> int:
    """How many constant arrivals are due in the measured window of a stage."""
    return _arrivals(rate, warmup + duration) - _arrivals(rate, warmup)


def constant(rate: PerSecond, length: Seconds, *, worker: int = 0, workers: int = 1) -> Iterator[Nanoseconds]:
    """Evenly spaced arrivals.

    Args:
        rate: Arrivals per second over all workers, > 0.
        length: Seconds from the stage's start in which arrivals are due.
        worker: This worker's index, 0 <= worker < workers.
        workers: How many share the schedule. Worker *i* gets arrivals ``k`` with
            ``k % workers == i``, so that the union is exactly the whole schedule.

    Returns:
        Nanoseconds after the stage's start, computed from ``k`` and never from the previous
        arrival, so that rounding does not add up.
    """
    gap, rest = divmod(NS_PER_S, rate)
    arrivals = _arrivals(rate, length)
    if not rest:  # a range counts by itself, without a step of Python
        gap = int(gap)
        return iter(range(worker * gap, arrivals * gap, workers * gap))
    return (round(k * NS_PER_S / rate) for k in range(worker, arrivals, workers))


def poisson(
    rate: PerSecond, length: Seconds, seed: int, *, worker: int = 0, workers: int = 1
) -> Iterator[Nanoseconds]:
    """Arrivals of a Poisson process: independent users, exponential gaps.

    The whole process depends on `rate` and `seed` alone; each worker walks all of it and
    takes every `workers`-th arrival, so that the number of workers changes nothing.
    """
    draw = random.Random(seed).expovariate  # noqa: S311  (reproducible, not secret)
    end_ns = length * NS_PER_S
    scale = NS_PER_S / rate
    at_ns, k = draw(1.0) * scale, 0
    while at_ns < end_ns:
        if k % workers == worker:
            yield round(at_ns)
        at_ns += draw(1.0) * scale
        k += 1


def bunched(
    arrivals: Iterator[Nanoseconds], quantum_ns: Nanoseconds, measure_ns: Nanoseconds
) -> Iterator[Bunch]:
    """The same arrivals, those of one quantum due together at its start; each alone for a quantum of 0.

    Waking once a quantum instead of once an arrival is what makes high rates cheap. No
    arrival is moved across `measure_ns`, where the measured window begins.
    """
    if not quantum_ns:
        return zip(arrivals, repeat(1), strict=False)
    return _bunched(arrivals, quantum_ns, measure_ns)


def _bunched(
    arrivals: Iterator[Nanoseconds], quantum_ns: Nanoseconds, measure_ns: Nanoseconds
) -> Iterator[Bunch]:
    due_ns = ends_ns = count = 0
    for at_ns in arrivals:
        if at_ns < ends_ns:
            count += 1
            continue
        if count:
            yield due_ns, count
        due_ns, count = at_ns - at_ns % quantum_ns, 1
        ends_ns = due_ns + quantum_ns
        if at_ns < measure_ns < ends_ns:
            ends_ns = measure_ns
        elif due_ns < measure_ns <= at_ns:
            due_ns = measure_ns
    if count:
        yield due_ns, count


def default_quantum_ns(rate_per_worker: PerSecond) -> Nanoseconds:
    """Exact spacing up to 4,000/s a worker, at most 250 µs of bunching above."""
    return 0 if rate_per_worker <= 4000 else 250_000


def _arrivals(rate: PerSecond, length: Seconds) -> int:
    """Arrivals ``k`` with ``k / rate < length``; a product that is whole but for rounding counts as whole."""
    product = rate * length
    nearest = round(product)
    return nearest if abs(product - nearest) < 1e-6 else int(product) + 1
