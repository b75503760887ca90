"""Calibrates several nodes: each against a no-op server of its own, all at the same time.

The ceilings decide which share of the schedule each node gets. The baseline of all nodes together is that of
the worst of them, each at its share of the rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

import trio

from runner.core.calibration_facts import Calibration, Floor
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.units import PerSecond
from runner.experiment.model import Load
from runner.load.calibrate import RunningResponder, open_responder
from runner.load.calibration_load import calibration_stage
from runner.load.engine import LoadOrder
from runner.load.nodes import GeneratorNodes

_Value = TypeVar("_Value")

_ANY_ENDPOINT: Final = Endpoint("127.0.0.1", 65_535)


async def calibrate_nodes(
    load: Load,
    rates: Sequence[PerSecond],
    nodes: GeneratorNodes,
) -> Calibration:
    """Return the baseline of nodes together at each rate, and the sum of their ceilings.

    Takes about 2 s for the ceilings and 1.5 s per rate. The ceilings become known to `nodes`.

    Args:
        load: As `runner.load.calibration_load` makes it.
        rates: Of the stages to come, all nodes together.
        nodes: Where the load comes from.

    Raises:
        EnvironmentLacks: A node is lost, or a process did not start.
    """
    async with AsyncExitStack() as stack:
        responders = {
            name: await stack.enter_async_context(_responder_on(name, load, nodes)) for name in nodes.left
        }
        ceiling_rps = await _learn_ceilings(load, _workers(load, max(rates), nodes), responders, nodes)
        workers = _workers(load, max(rates), nodes)
        floors = [await _floor(load, rate, workers, responders) for rate in sorted(set(rates))]
    return Calibration(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        connection=load.connection,
        workers=sum(workers.values()),
        floors=tuple(floors),
        ceiling_rps=ceiling_rps,
        engine=load.engine,
    )


@asynccontextmanager
async def _responder_on(name: str, load: Load, nodes: GeneratorNodes) -> AsyncIterator[RunningResponder]:
    start = partial(nodes.open_process, name, "runner.load.responder")
    async with open_responder(load, lambda _: None, start=start, site=nodes.only(name)) as responder:
        yield responder


def _workers(load: Load, rate: PerSecond, nodes: GeneratorNodes) -> Mapping[str, int]:
    """Return how many workers each node gets at a rate."""
    stage = calibration_stage(load, rate, duration=1.0)
    return Counter(nodes.assignment(LoadOrder(_ANY_ENDPOINT, load, stage), 1))


async def _learn_ceilings(
    load: Load,
    workers: Mapping[str, int],
    responders: Mapping[str, RunningResponder],
    nodes: GeneratorNodes,
) -> PerSecond:
    """Measure the ceiling of each node, make it known to `nodes`, and return the sum."""
    ceilings = await _on_all(
        {name: partial(one.ceiling, load, workers[name]) for name, one in responders.items()}
    )
    nodes.ceilings.update({name: max(1.0, ceiling) for name, ceiling in ceilings.items()})
    return sum(ceilings.values())


async def _floor(
    load: Load, rate: PerSecond, workers: Mapping[str, int], responders: Mapping[str, RunningResponder]
) -> Floor:
    """Return the baseline of all nodes together at a rate."""
    total = sum(workers.values())
    own = {name: load.model_copy(update={"workers": count}) for name, count in workers.items()}
    measured = await _on_all(
        {
            name: partial(responders[name].floor, own[name], rate * count / total)
            for name, count in workers.items()
        }
    )
    return _worst(rate, [floor for floor, _ in measured.values()])


async def _on_all(calls: Mapping[str, Callable[[], Awaitable[_Value]]]) -> dict[str, _Value]:
    """Call all at the same time, and return what each returned.

    Raises:
        EnvironmentLacks: The first that was raised.
    """
    values: dict[str, _Value] = {}
    faults: list[EnvironmentLacks] = []

    async def call(name: str) -> None:
        try:
            values[name] = await calls[name]()
        except EnvironmentLacks as fault:
            faults.append(fault)

    async with trio.open_nursery() as nursery:
        for name in calls:
            nursery.start_soon(call, name)
    if faults:
        raise faults[0]
    return values


def _worst(rate: PerSecond, floors: Sequence[Floor]) -> Floor:
    """Return one baseline in which every figure is that of the node that is worst in it."""
    costs = [floor.cpu_us_per_request for floor in floors if floor.cpu_us_per_request is not None]
    spacings = [floor.spacing for floor in floors if floor.spacing is not None]
    return Floor(
        target_rps=rate,
        achieved=min(floor.achieved for floor in floors),
        duration_ms=_largest([floor.duration_ms for floor in floors]),
        dispatch_delay_ms=_largest([floor.dispatch_delay_ms for floor in floors]),
        cpu_us_per_request=max(costs, default=None),
        spacing=max(spacings, key=lambda spacing: spacing.error_p99_us, default=None),
    )


def _largest(percentiles: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in percentiles for name in one)
    return {name: max(one[name] for one in percentiles if name in one) for name in names}
