"""How much the metrics of a request varied within the measured window: an estimate of its own noise.

A comparison of single runs needs the noise between runs, which is unknown; the variation within a run is a
lower bound of it. Each request of a mix has its own: the p95 of all requests jumps between that of the fast
and that of the slow ones, and says nothing about either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import stdev
from typing import Final, NamedTuple, TypeAlias

from runner.analyze.latency import percentiles_of_all
from runner.core import histogram
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.units import Seconds

_MIN_BEYOND: Final = 10
"""Requests beyond a percentile in a block: with fewer, chance moves it more than the service does."""
MIN_BLOCKS: Final = 3

_Block: TypeAlias = Sequence[LoadSecond]


class _Varying(NamedTuple):
    """A key metric, the share of the requests beyond it, and how to read it from some seconds."""

    key: str
    beyond: float
    read: Callable[[_Block], float | None]


def _percentile(latency: str, share: float) -> Callable[[_Block], float | None]:
    def read(block: _Block) -> float | None:
        values = histogram.merge(getattr(second, latency) for second in block)
        lost = sum(sum(second.failures.values()) + second.dropped for second in block)
        return percentiles_of_all(values, lost, [share])[0] if values else None

    return read


def _rate(block: _Block) -> float:
    return sum(second.completed for second in block) / len(block)


_VARYING: Final = (
    _Varying("actual_rps", 1.0, _rate),
    _Varying("duration_ms.p50", 0.5, _percentile("duration", 50)),
    _Varying("duration_ms.p95", 0.05, _percentile("duration", 95)),
    _Varying("response_time_ms.p95", 0.05, _percentile("response_time", 95)),
)


def variation(load: LoadFacts, window_s: Seconds) -> Mapping[str, float]:
    """Return the standard deviation of the logarithm of each key metric between blocks of the window.

    A block is as many whole seconds as have 10 requests beyond the percentile. Metrics with fewer than three
    blocks are absent, as are latencies of an engine that keeps no histograms.
    """
    seconds = [second for second in load.seconds if 0 <= second.index < window_s]
    spreads = {one.key: _spread(one, seconds) for one in _VARYING}
    return {key: round(spread, 4) for key, spread in spreads.items() if spread is not None}


def _spread(one: _Varying, seconds: Sequence[LoadSecond]) -> float | None:
    values = [one.read(block) for block in _blocks(seconds, _MIN_BEYOND / one.beyond)]
    logarithms = [math.log(value) for value in values if value and math.isfinite(value)]
    return stdev(logarithms) if len(logarithms) >= MIN_BLOCKS else None


def _blocks(seconds: Sequence[LoadSecond], requests: float) -> Iterator[_Block]:
    """Yield consecutive seconds with at least so many ended requests; what is left over is not used."""
    block: list[LoadSecond] = []
    ended = 0
    for second in seconds:
        block.append(second)
        ended += second.succeeded + sum(second.failures.values()) + second.dropped
        if ended >= requests:
            yield block
            block, ended = [], 0
