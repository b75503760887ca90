"""Open-loop pacing: when each request is due, independent of responses.

A closed loop waits for a response before it sends again, so a stalled server receives fewer requests and
looks faster than it is (Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Final, TypeAlias

from runner.core.units import NS_PER_S, Nanoseconds, PerSecond, Seconds

Bunch: TypeAlias = tuple[Nanoseconds, int]
"""When requests are due together, and how many."""

EXACT_PER_WORKER: Final[PerSecond] = 4000.0
"""Up to this rate, a worker sends each request at its own microsecond by default."""

HOPELESS_NS: Final[Nanoseconds] = 1_000_000_000
"""An arrival that the generator takes up later than this is not sent, nor is any other that is due by then.

A pause of half that makes a stage invalid (`runner.load.worker_losses`): what is dropped spoils no credible
stage. Shorter pauses are caught up, and show in the response times and the dispatch delay.
"""

_ALMOST_0: Final[PerSecond] = 1e-290
"""Stands for a rate of 0 where it is divided by."""


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


@dataclass(frozen=True, slots=True)
class RampPacer:
    """Arrivals at a rate that changes linearly over the measured window; the warm-up has its first rate.

    Arrival *k* is due when the integral of the rate over time reaches *k*. The inverse is computed from *k*,
    so that rounding does not accumulate, and in the form without cancellation (Press et al., *Numerical
    Recipes*, 5.6).

    Attributes:
        rate: At the window's start, >= 0.
        rate_to: At its end, >= 0.
        warmup: Seconds before the window.
        duration: Length of the window in seconds.
    """

    rate: PerSecond
    rate_to: PerSecond
    warmup: Seconds
    duration: Seconds

    @property
    def before(self) -> int:
        """Number of arrivals due in the warm-up."""
        return math.ceil(self._warmup_area)

    @property
    def total(self) -> int:
        """Number of arrivals due in all."""
        return math.ceil(self._warmup_area + self._window_area)

    @property
    def _warmup_area(self) -> float:
        return _snapped(self.rate * self.warmup)

    @property
    def _window_area(self) -> float:
        warmup = self._warmup_area
        return _snapped(warmup + (self.rate + self.rate_to) / 2 * self.duration) - warmup

    def arrivals(
        self, first: int = 0, end: int | None = None, *, worker: int = 0, workers: int = 1
    ) -> Iterator[Nanoseconds]:
        """Return arrivals `first` <= k < `end` of a worker, as `constant`; without `end`, up to the last."""
        end = self.total if end is None else end
        middle = min(max(self.before, first), end)
        warmup = (round(k * NS_PER_S / self.rate) for k in _every(first, middle, worker, workers))
        return chain(warmup, self._due_in_window(_every(middle, end, worker, workers)))

    def poisson(self, seed: int, *, worker: int = 0, workers: int = 1) -> Iterator[Nanoseconds]:
        """Yield random arrivals with the same rates: a Poisson process of rate 1 in stretched time.

        See Cinlar, *Introduction to Stochastic Processes*, 4.7.
        """
        areas = self._random_areas(seed, worker, workers)
        for area in areas:
            if area >= self._warmup_area:
                yield from self._due_in_window(chain([area], areas))
            else:
                yield round(area * NS_PER_S / self.rate)

    def _random_areas(self, seed: int, worker: int, workers: int) -> Iterator[float]:
        draw = random.Random(seed).expovariate  # noqa: S311  (reproducible, not secret)
        end = self._warmup_area + self._window_area
        area, k = draw(1.0), 0
        while area < end:
            if k % workers == worker:
                yield area
            area += draw(1.0)
            k += 1

    def due_s(self, after: float) -> Seconds:
        """Return when the window's first `after` arrivals have come due, in seconds after its start."""
        return next(self._due_in_window([self._warmup_area + after])) / NS_PER_S - self.warmup

    def number_at(self, rate: PerSecond) -> int:
        """Return the first arrival that is due when the rate has passed `rate`.

        A rate that is not passed is taken to be passed before the first arrival, or after the last one.
        """
        low, high = sorted((self.rate, self.rate_to))
        if not low < rate < high:
            return 0 if (rate <= low) == (self.rate < self.rate_to) else self.total
        share = (rate - self.rate) / (self.rate_to - self.rate)
        area = share * self.duration * (self.rate + rate) / 2
        return math.ceil(self._warmup_area + area)

    def _due_in_window(self, numbers: Iterable[float]) -> Iterator[Nanoseconds]:
        """Yield when arrivals of the window are due, in nanoseconds after the stage's start.

        A worker calculates one for each request, so this is one expression without calls of functions.
        """
        first, warmup_ns, unit = self._warmup_area, self.warmup * NS_PER_S, 2.0 * NS_PER_S
        rate = (self.rate or _ALMOST_0) / unit
        twice = 2 * (self.rate_to - self.rate) / self.duration / unit**2
        # the square of the rate is linear in the number of arrivals; from its lower end without cancellation
        lowest = first if twice > 0 else first + self._window_area
        squared = (min(self.rate, self.rate_to) / unit) ** 2
        for k in numbers:
            due_ns = warmup_ns + (k - first) / (rate + (squared + twice * (k - lowest)) ** 0.5)
            yield due_ns.__round__()  # faster than round


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
    return 0 if rate_per_worker <= EXACT_PER_WORKER else 250_000


def _arrivals(rate: PerSecond, length: Seconds) -> int:
    """Count arrivals ``k`` with ``k / rate < length``."""
    return math.ceil(_snapped(rate * length))


def _snapped(product: float) -> float:
    """Return a number of arrivals; one within 1e-6 of an integer is that integer."""
    nearest = round(product)
    return nearest if abs(product - nearest) < 1e-6 else product


def _every(first: int, end: int, worker: int, workers: int) -> range:
    """Return the numbers from `first` to below `end` that belong to a worker."""
    return range(first + (worker - first) % workers, end, workers)
