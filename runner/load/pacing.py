"""Open-loop pacing: when each request is due, independent of responses.

A closed loop waits for a response before it sends again, so a stalled server receives fewer requests and
looks faster than it is (Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import repeat
from typing import TypeAlias

from runner.core.units import NS_PER_S, Nanoseconds, PerSecond, Seconds

Bunch: TypeAlias = tuple[Nanoseconds, int]
"""When requests are due together, and how many."""


def planned(rate: PerSecond, duration: Seconds, warmup: Seconds = 0.0) -> int:
    """Return how many constant arrivals are due in the measured window of a stage."""
    return _arrivals(rate, warmup + duration) - _arrivals(rate, warmup)


def constant(rate: PerSecond, length: Seconds, *, worker: int = 0, workers: int = 1) -> Iterator[Nanoseconds]:
    """Return evenly spaced arrivals.

    Args:
        rate: Arrivals per second over all workers, > 0.
        length: Seconds from the stage's start in which arrivals are due.
        worker: This worker's index, 0 <= worker < workers.
        workers: Number of workers that share the schedule. Worker *i* gets arrivals ``k`` with
            ``k % workers == i``, so that the union is exactly the whole schedule.

    Returns:
        Nanoseconds after the stage's start, computed from ``k`` and never from the previous arrival, so that
        rounding does not accumulate.
    """
    gap, rest = divmod(NS_PER_S, rate)
    arrivals = _arrivals(rate, length)
    if not rest:  # a range iterates in C
        gap = int(gap)
        return iter(range(worker * gap, arrivals * gap, workers * gap))
    return (round(k * NS_PER_S / rate) for k in range(worker, arrivals, workers))


def poisson(
    rate: PerSecond, length: Seconds, seed: int, *, worker: int = 0, workers: int = 1
) -> Iterator[Nanoseconds]:
    """Yield arrivals of a Poisson process: independent users, exponential gaps.

    The process depends on `rate` and `seed` alone: each worker generates all of it and takes every
    `workers`-th arrival, so that the number of workers changes nothing.
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
    """Return the same arrivals, those of one quantum due together at its start; 0 leaves them as they are.

    Waking once per quantum instead of once per arrival makes high rates cheap. No arrival moves across
    `measure_ns`, where the measured window begins.
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
    """Return 0 (exact spacing) up to 4,000 arrivals per second and worker, 250 µs above."""
    return 0 if rate_per_worker <= 4000 else 250_000


def _arrivals(rate: PerSecond, length: Seconds) -> int:
    """Count arrivals ``k`` with ``k / rate < length``; a product within 1e-6 of an integer counts as one."""
    product = rate * length
    nearest = round(product)
    return nearest if abs(product - nearest) < 1e-6 else int(product) + 1
