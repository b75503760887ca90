"""Divides a stage among its workers: what each is told, and how many arrivals of the schedule are its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

from runner.core.ramp import Ramp
from runner.core.units import NS_PER_S, Nanoseconds, PerSecond, ns
from runner.experiment.model import Load, NamedRequest, Stage
from runner.load import pacing
from runner.load.addresses import Target
from runner.load.check_order import check_order
from runner.load.engine import LoadOrder
from runner.load.request import pieces_of
from runner.load.scenario_order import ScenarioOrder
from runner.load.variables import worker_variables
from runner.load.worker_order import WorkerOrder, WorkerRequest

_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


def worker_orders(order: LoadOrder, targets: Sequence[Target], count: int) -> list[WorkerOrder]:
    """Return the parts of all workers of a stage, which take the addresses in turn."""
    scenarios = None
    if order.load.scenarios:
        from runner.load.scenario_translation import scenario_order  # noqa: PLC0415  (imports models of scenarios)

        scenarios = scenario_order(order)
    return [
        worker_order(order, index, count, targets[index % len(targets)], scenarios) for index in range(count)
    ]


def worker_order(
    order: LoadOrder, index: int, count: int, target: Target, scenarios: ScenarioOrder | None = None
) -> WorkerOrder:
    """Return one worker's part of a stage.

    Args:
        order: The stage.
        index: Of the worker.
        count: Number of workers.
        target: Where it connects to.
        scenarios: What users do.
    """
    load, stage = order.load, order.stage
    share, rest = divmod(load.max_in_flight, count)
    family, address = target
    return WorkerOrder(
        family=family,
        address=address,
        requests=_requests(order),
        new_connections=load.connection == "new",
        **_levels(stage, of_users=scenarios is not None),
        warmup=stage.warmup,
        duration=stage.duration,
        poisson=load.arrivals == "poisson",
        seed=load.seed,
        worker=index,
        workers=count,
        max_in_flight=share + (index < rest),
        when_full=load.when_full,
        timeout=load.timeout,
        quantum_ns=quantum_ns(order, count),
        cpus=load.cpus,
        tls=order.endpoint.tls,
        variables=worker_variables(order),
        bunched_from=0.0 if load.quantum is not None else pacing.EXACT_PER_WORKER * count,
        scenarios=scenarios,
    )


class _Levels(TypedDict):
    """What a stage offers at its beginning, and at its end if that changes; fields of a worker's order."""

    rate: PerSecond
    rate_to: PerSecond | None
    users: int
    users_to: int | None


def _levels(stage: Stage, *, of_users: bool) -> _Levels:
    """Return the levels of a stage; `of_users` if its rate counts users who start, not requests."""
    ramp = stage.user_rate_ramp if of_users else stage.ramp
    users = stage.user_level
    return {
        "rate": stage.warmup_user_rate if of_users else stage.warmup_rps,
        "rate_to": ramp.to if ramp else None,
        "users": int(users.begin) if isinstance(users, Ramp) else users or 0,
        "users_to": int(users.to) if isinstance(users, Ramp) else None,
    }


def part_names(load: Load) -> tuple[str, ...]:
    """Return the names of the requests of a mix, or of the steps of scenarios; empty for one request."""
    return tuple(part.name for part in load.parts) if load.scenarios else tuple(load.shares)


def _requests(order: LoadOrder) -> tuple[WorkerRequest, ...]:
    return tuple(_request(part, order) for part in order.load.parts)


def _request(part: NamedRequest, order: LoadOrder) -> WorkerRequest:
    pieces = pieces_of(part, order.endpoint, order.load.connection, order.inputs)
    is_fixed = len(pieces) == 1 and isinstance(pieces[0], bytes)
    return WorkerRequest(
        content=b"".join(piece for piece in pieces if isinstance(piece, bytes)) if is_fixed else b"",
        pieces=() if is_fixed else pieces,
        head=part.method == "HEAD",
        checks=check_order(part.expect or order.load.expect),
        resend=part.method in _IDEMPOTENT,
        weight=part.weight,
    )


def quantum_ns(order: LoadOrder, count: int) -> Nanoseconds:
    """Return the interval between bunches of arrivals of one of `count` workers; 0 for exact spacing."""
    quantum = order.load.quantum
    rate = order.stage.highest_user_rate if order.load.scenarios else order.stage.highest_rps
    return pacing.default_quantum_ns(rate / count) if quantum is None else ns(quantum)


def planned_by(order: WorkerOrder) -> int:
    """Return how many of this worker's arrivals are due in the measured window; none with users."""
    if order.most_users:
        return 0
    ramp, part = order.ramp, {"worker": order.worker, "workers": order.workers}
    if order.poisson:
        length = order.warmup + order.duration
        constant = pacing.poisson(order.rate, length, order.seed, **part)
        arrivals = ramp.poisson(order.seed, **part) if ramp else constant
        return sum(due >= order.warmup * NS_PER_S for due in arrivals)
    if ramp:
        return _share(ramp.total, order) - _share(ramp.before, order)
    before = pacing.planned(order.rate, order.warmup)
    total = pacing.planned(order.rate, order.warmup + order.duration)
    return _share(total, order) - _share(before, order)


def _share(arrivals: int, order: WorkerOrder) -> int:
    """Return how many ``k < arrivals`` have ``k % workers == worker``."""
    return (arrivals - order.worker + order.workers - 1) // order.workers if arrivals > order.worker else 0
