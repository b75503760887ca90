"""Measures the generator against a no-op server: its baseline, its ceiling and its spacing.

What an instrument shows with nothing to measure is its own error. Reports state it beside the results,
measured with the settings and rates of the stages.
"""

from __future__ import annotations

import itertools
import statistics
from array import array
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec
import trio

from runner.core import histogram
from runner.core.calibration_facts import Calibration, Floor, Spacing
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.histogram import Histogram
from runner.core.load_facts import LoadFacts
from runner.core.units import NS_PER_US, Nanoseconds, PerSecond
from runner.experiment.model import Expect, Load, Stage
from runner.experiment.stage import MAX_USERS_PER_S
from runner.load import pacing
from runner.load.calibration_load import calibration_stage, stage_rate
from runner.load.engine import Engine, LoadOrder
from runner.load.engines import ENGINES
from runner.load.messages import ResponderReady, ResponderReport, decode
from runner.load.request import request_bytes
from runner.load.responder import Expected
from runner.load.site import Site, Worker
from runner.load.worker_process import start_processes

_WARMUP_S: Final = 0.3
_WINDOW_S: Final = 0.7
_OVERLOAD_S: Final = 1.0  # after a shorter window an overloaded generator would go on within the same second
_OVERLOAD_WARMUP_S: Final = 0.03  # with the window hardly more than the lag after which a generator gives up
_MIN_ARRIVALS: Final = 50
_MAX_WINDOW_S: Final = 2.0
_OVERLOAD_PER_WORKER: Final = 400_000
_OVERLOAD_IN_FLIGHT: Final = 256
_READY_WITHIN_S: Final = 15
_PERCENTILES: Final = ("p50", "p95", "p99")


async def calibrate(
    load: Load,
    rates: Sequence[PerSecond],
    *,
    on_spawn: Callable[[int], None],
) -> Calibration:
    """Return the generator's baseline at each rate and, for the built-in engine, its ceiling.

    Takes about 1.5 s per rate and 2 s for the ceiling. The request is the planned one, without TLS.

    Args:
        load: Of the stages to come.
        rates: Of the stages to come; each is measured once.
        on_spawn: Called with the pid of every process as soon as it exists.

    Raises:
        EnvironmentLacks: A process did not start.
    """
    plain = load.model_copy(update={"expect": Expect(), "when_full": "drop"})
    builtin = load.engine == "builtin"
    floors, workers = [], 1
    async with open_responder(plain, on_spawn) as responder:
        for rate in sorted(set(rates)):
            floor, workers = await responder.floor(plain, rate)
            floors.append(floor)
        ceiling = await responder.ceiling(plain, workers) if builtin else None
    return Calibration(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        connection=load.connection,
        workers=workers,
        floors=tuple(floors),
        ceiling_rps=ceiling,
        engine=load.engine,
    )


def _window_s(rate: PerSecond) -> float:
    """Return a window long enough for some arrivals, yet short."""
    return min(max(_WINDOW_S, _MIN_ARRIVALS / rate), max(_MAX_WINDOW_S, 2 / rate))


def _completed(facts: LoadFacts) -> int:
    """Return the successful responses within the window, without those of the drain."""
    last = max((second.index for second in facts.seconds if second.scheduled), default=0)
    return sum(second.completed for second in facts.seconds if 0 <= second.index <= last)


def _floor(load: Load, stage: Stage, facts: LoadFacts, stamps: Sequence[Nanoseconds]) -> Floor:
    def merged(name: str) -> Histogram:
        return histogram.merge(getattr(second, name) for second in facts.seconds)

    sent = sum(second.sent for second in facts.seconds if second.index >= 0)
    cpu_s = sum(second.cpu_s for second in facts.seconds if second.index >= 0)
    planned = planned_arrivals(load, stage)
    stated = facts.stated_ms
    return Floor(
        target_rps=stage_rate(load, stage),
        achieved=_completed(facts) / facts.planned,
        duration_ms=_percentiles(merged("duration")) if stated is None else _stated(stated["duration"]),
        dispatch_delay_ms=_percentiles(merged("dispatch_delay")),
        cpu_us_per_request=cpu_s / sent * 1e6 if sent and cpu_s else None,
        spacing=spacing(stamps, planned) or _even_spacing(stamps, planned, load),
    )


def _stated(percentiles: Mapping[str, float | None] | None) -> dict[str, float]:
    """Return the percentiles that an engine without histograms states."""
    return {name: value for name in _PERCENTILES if (value := (percentiles or {}).get(name)) is not None}


def _even_spacing(
    stamps: Sequence[Nanoseconds], planned: Sequence[Nanoseconds], load: Load
) -> Spacing | None:
    """Return the spacing of even arrivals: all gaps are planned alike, so they need no pairing."""
    if load.arrivals != "constant" or len(planned) < 2:
        return None
    return spacing(stamps, [round(k * (planned[-1] / (len(planned) - 1))) for k in range(len(stamps))])


def _percentiles(latencies: Histogram) -> dict[str, float]:
    return dict(zip(_PERCENTILES, latencies.percentiles_ms([50, 95, 99]), strict=False))


def planned_arrivals(load: Load, stage: Stage) -> list[Nanoseconds]:
    """Return when every request of a stage is due, warm-up included, before arrivals are bunched."""
    length = stage.warmup + stage.duration
    if load.arrivals == "poisson":
        return list(pacing.poisson(stage_rate(load, stage), length, load.seed))
    return list(pacing.constant(stage_rate(load, stage), length))


def spacing(stamps: Sequence[Nanoseconds], planned: Sequence[Nanoseconds]) -> Spacing | None:
    """Return how far the gaps that the receiver saw are from the planned ones.

    Args:
        stamps: The kernel's receive timestamps of all requests, ascending.
        planned: When they were due, ascending.

    Returns:
        None if not every planned request arrived exactly once, so that gaps cannot be paired, or if there
        are too few of them.
    """
    if len(stamps) != len(planned) or len(planned) < _MIN_ARRIVALS // 2:
        return None
    seen = [after - before for before, after in itertools.pairwise(stamps)]
    due = [after - before for before, after in itertools.pairwise(planned)]
    errors = sorted(abs(gap - plan) for gap, plan in zip(seen, due, strict=True))
    return Spacing(
        planned_gap_us=statistics.median(due) / NS_PER_US,
        median_gap_us=statistics.median(seen) / NS_PER_US,
        error_p50_us=errors[len(errors) // 2] / NS_PER_US,
        error_p99_us=errors[len(errors) * 99 // 100] / NS_PER_US,
    )


@dataclass(frozen=True, slots=True)
class RunningResponder:
    """The null responder's process, and the engine that sends to it from the same machine."""

    port: int
    process: Worker
    engine: Engine
    on_spawn: Callable[[int], None]
    site: Site | None = None

    async def floor(self, load: Load, rate: PerSecond) -> tuple[Floor, int]:
        """Return the generator's baseline at a rate, and its number of workers."""
        stage = calibration_stage(load, rate, duration=_window_s(rate), warmup=_WARMUP_S)
        facts, stamps = await self._offer(load, stage)
        return _floor(load, stage, facts, stamps), facts.workers

    async def ceiling(self, load: Load, workers: int) -> PerSecond:
        """Return the requests per second that get through when more are due than can be sent."""
        overload = load.model_copy(
            update={"max_in_flight": _OVERLOAD_IN_FLIGHT, "arrivals": "constant", "workers": workers}
        )
        rate = MAX_USERS_PER_S if load.scenarios else _OVERLOAD_PER_WORKER * workers
        stage = calibration_stage(load, rate, duration=_OVERLOAD_S, warmup=_OVERLOAD_WARMUP_S)
        facts, _ = await self._offer(overload, stage)
        return float(round(_completed(facts) / _OVERLOAD_S))

    async def _offer(self, load: Load, stage: Stage) -> tuple[LoadFacts, Sequence[Nanoseconds]]:
        """Offer one stage to it; also returns when it received each request."""
        order = LoadOrder(_endpoint(self.port), load, stage, site=self.site)
        facts = await self.engine(order, on_spawn=self.on_spawn, on_second=lambda _: None)
        await self.process.write_line(b"\n")
        line = await self.process.read_line()
        if line is None:
            raise trio.BrokenResourceError
        return facts, array("q", decode(line, ResponderReport).timestamps)


Place = Callable[[], AbstractAsyncContextManager[Worker]]
"""Starts a process that runs `runner.load.responder` on some machine."""


@asynccontextmanager
async def open_responder(
    load: Load, on_spawn: Callable[[int], None], *, start: Place | None = None, site: Site | None = None
) -> AsyncIterator[RunningResponder]:
    """Provide a null responder that expects the requests of a load.

    Args:
        load: As `runner.load.calibration_load` makes it.
        on_spawn: Called with the pid of every process of this machine.
        start: Starts it on another machine; None for this one.
        site: Where the load comes from: the same machine.

    Raises:
        EnvironmentLacks: It did not start, or ended early.
    """
    process: Worker | None = None
    try:
        async with (start or partial(_start_here, on_spawn))() as process:
            port = await _prepare(process, load)
            yield RunningResponder(port, process, ENGINES[load.engine], on_spawn, site)
    except trio.BrokenResourceError:
        status = process.returncode if process else None
        raise EnvironmentLacks(
            f"the null responder ended early (exit status {status})",
            hint="run again with --no-calibrate, or see its output above",
        ) from None


@asynccontextmanager
async def _start_here(on_spawn: Callable[[int], None]) -> AsyncIterator[Worker]:
    async with start_processes("runner.load.responder", 1, on_spawn) as (process,):
        yield process


async def _prepare(process: Worker, load: Load) -> int:
    """Tell the responder which requests to expect; returns its port."""
    with trio.move_on_after(_READY_WITHIN_S):
        if line := await process.read_line():
            port = decode(line, ResponderReady).port
            any_stage = calibration_stage(load, 1.0, duration=1.0)
            request = request_bytes(LoadOrder(_endpoint(port), load, any_stage))
            expected = Expected(
                request_bytes=len(request) if load.engine == "builtin" else None,
                body_bytes=len((load.request.body or "").encode()),
                head=load.request.method == "HEAD",
                close=load.connection == "new",
            )
            await process.write_line(msgspec.json.encode(expected) + b"\n")
            return port
    raise trio.BrokenResourceError


def _endpoint(port: int) -> Endpoint:
    return Endpoint("127.0.0.1", port)
