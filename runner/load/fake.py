"""An engine without processes and sockets: known facts, for tests of its callers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import trio

from runner.core import histogram
from runner.core.facts import LoadFacts, LoadSecond, Window
from runner.core.units import NS_PER_MS, ns
from runner.load import pacing
from runner.load.engine import LoadOrder, LoadStarted

DURATION_NS = 2 * NS_PER_MS
"""How long every request takes."""


async def offer(
    order: LoadOrder,
    *,
    on_spawn: Callable[[int], None],
    on_second: Callable[[LoadSecond], None],
    task_status: trio.TaskStatus[LoadStarted] = trio.TASK_STATUS_IGNORED,
) -> LoadFacts:
    """Pretend that every request succeeds after 2 ms; takes as long as the stage, in virtual time too."""
    del on_spawn
    stage = order.stage
    start = time.monotonic_ns()
    measure = start + ns(stage.warmup)
    task_status.started(LoadStarted((), Window(start, measure, measure + ns(stage.duration))))
    await trio.sleep(stage.warmup)
    seconds: list[LoadSecond] = []
    for second, length in _seconds(order):
        await trio.sleep(length)
        seconds.append(second)
        on_second(second)
    planned = pacing.planned(stage.rps, stage.duration)
    return LoadFacts("fake", 0, planned, tuple(seconds), complete=True, clock="none: the facts are made up")


def _seconds(order: LoadOrder) -> Iterator[tuple[LoadSecond, float]]:
    """Yield each second of the window and its length; the last one may be short."""
    rate, duration = order.stage.rps, order.stage.duration
    for index in range(math.ceil(duration)):
        until = min(index + 1.0, duration)
        count = pacing.planned(rate, until) - pacing.planned(rate, float(index))
        latency = histogram.of([DURATION_NS] * count)
        second = LoadSecond(
            index,
            scheduled=count,
            sent=count,
            succeeded=count,
            completed=count,
            duration=latency,
            response_time=latency,
            first_byte=latency,
            dispatch_delay=histogram.of([0] * count),
        )
        yield second, until - index
