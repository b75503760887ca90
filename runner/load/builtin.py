"""The built-in engine: starts worker processes that share one schedule, and merges their reports."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final

import trio

from runner.core.compact import CompactList
from runner.core.errors import EnvironmentLacks
from runner.core.facts import Window
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.ramp import Ramp
from runner.core.units import NS_PER_S, NS_PER_US, Nanoseconds, ns
from runner.cpu_affinity import check_cpus
from runner.experiment.model import Load, NamedRequest, Stage
from runner.load import pacing, worker_accounts
from runner.load.check_order import check_order
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.expected_rate import expected_rate
from runner.load.merge import Collector
from runner.load.messages import WorkerEnd, WorkerReady, decode, decode_progress
from runner.load.request import Target, pieces_of, resolve
from runner.load.scenario_accounts import scenario_counts
from runner.load.scenario_order import ScenarioOrder
from runner.load.variables import worker_variables
from runner.load.worker_accounts import Account
from runner.load.worker_order import WorkerOrder, WorkerRequest, WorkerStart
from runner.load.worker_process import WorkerPool, WorkerProcess

_RATE_PER_WORKER: Final = 40_000
_HANDSHAKES_PER_WORKER: Final = 500  # a full TLS handshake costs the client 0.9 ms of CPU
_USERS_PER_WORKER: Final = 1000
_LEAD_NS: Final = 100_000_000
_READY_WITHIN_S: Final = 15
_GRACE_S: Final = 5
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(slots=True)
class _Worker:
    """One process and what it has reported."""

    process: WorkerProcess
    account: Account


@dataclass(slots=True)
class _Stage:
    """The seconds of the stage so far."""

    collector: Collector
    on_second: Callable[[LoadSecond], None]
    seconds: CompactList[LoadSecond]

    def add(self, complete: Sequence[LoadSecond]) -> None:
        """Keep complete seconds, and pass them on."""
        for second in complete:
            self.seconds.append(second)
            self.on_second(second)


async def offer(
    order: LoadOrder,
    *,
    on_spawn: Callable[[int], None],
    on_second: Callable[[LoadSecond], None],
    task_status: trio.TaskStatus[LoadStarted] = trio.TASK_STATUS_IGNORED,
) -> LoadFacts:
    """Offer one stage with worker processes; see `runner.load.engine.Engine`."""
    check_cpus(order.load.cpus, "load.cpus")
    targets = await trio.to_thread.run_sync(resolve, order.endpoint)
    count = _worker_count(order, len(targets))
    orders = await trio.to_thread.run_sync(_worker_orders, order, targets, count)
    async with _pool(order) as pool, pool.take(count, on_spawn) as processes:
        workers = [
            await _prepare(index, process, one)
            for index, (process, one) in enumerate(zip(processes, orders, strict=True))
        ]
        window = _window(order)
        task_status.started(LoadStarted(tuple(worker.process.pid for worker in workers), window))
        collector = Collector(count, _part_names(order.load), tuple(order.load.scenario_shares))
        stage = _Stage(collector, on_second, order.seconds)
        overdue_s = (window.end_ns - time.monotonic_ns()) / NS_PER_S + 2 * order.load.timeout + _GRACE_S
        with trio.move_on_after(overdue_s):
            async with trio.open_nursery() as nursery:
                for index, worker in enumerate(workers):
                    nursery.start_soon(_follow, worker, index, window.start_ns, stage)
    return _facts(order, workers, stage)


def worker_pool() -> WorkerPool:
    """Return where this engine's processes wait between two stages."""
    return WorkerPool("runner.load.worker")


def _pool(order: LoadOrder) -> AbstractAsyncContextManager[WorkerPool]:
    return nullcontext(order.pool) if order.pool else worker_pool()


def _worker_count(order: LoadOrder, targets: int = 1) -> int:
    """Return the number of worker processes.

    ``auto`` is one per 40,000 requests (500 TLS handshakes) a second, at most one per core. Workers send in
    turn and each connects to one address, so there are equally many for each address.

    Raises:
        EnvironmentLacks: The specification allows fewer requests in flight than there are addresses.
    """
    if targets > order.load.max_in_flight:
        raise EnvironmentLacks(
            f"load.max_in_flight is {order.load.max_in_flight}, but {order.endpoint.host} has {targets} "
            "addresses",
            hint="topology.resolve: all needs at least one request in flight per address",
        )
    rounds = math.ceil(_workers_for_the_rate(order) / targets)
    return targets * max(1, min(rounds, order.load.max_in_flight // targets))


def _workers_for_the_rate(order: LoadOrder) -> int:
    if order.load.workers != "auto":
        return min(order.load.workers, order.load.max_in_flight)
    if order.stage.most_users:
        needed = math.ceil(order.stage.most_users / _USERS_PER_WORKER)
        return max(1, min(needed, os.cpu_count() or 1))
    handshake_each = order.endpoint.tls is not None and order.load.connection == "new"
    needed = math.ceil(
        expected_rate(order.load, order.stage)
        / (_HANDSHAKES_PER_WORKER if handshake_each else _RATE_PER_WORKER)
    )
    return max(1, min(needed, os.cpu_count() or 1, order.load.max_in_flight))


def _window(order: LoadOrder) -> Window:
    start = time.monotonic_ns() + _LEAD_NS
    measure = start + ns(order.stage.warmup)
    return Window(start, measure, measure + ns(order.stage.duration))


def _worker_orders(order: LoadOrder, targets: Sequence[Target], count: int) -> list[WorkerOrder]:
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
    ramp = stage.user_rate_ramp if scenarios else stage.ramp
    users, users_to = _users(stage)
    share, rest = divmod(load.max_in_flight, count)
    family, address = target
    return WorkerOrder(
        family=family,
        address=address,
        requests=_requests(order),
        new_connections=load.connection == "new",
        rate=stage.warmup_user_rate if scenarios else stage.warmup_rps,
        warmup=stage.warmup,
        duration=stage.duration,
        poisson=load.arrivals == "poisson",
        seed=load.seed,
        worker=index,
        workers=count,
        max_in_flight=share + (index < rest),
        when_full=load.when_full,
        timeout=load.timeout,
        quantum_ns=_quantum_ns(order, count),
        cpus=load.cpus,
        tls=order.endpoint.tls,
        variables=worker_variables(order),
        bunched_from=0.0 if load.quantum is not None else pacing.EXACT_PER_WORKER * count,
        rate_to=ramp.to if ramp else None,
        users=users,
        users_to=users_to,
        scenarios=scenarios,
    )


def _users(stage: Stage) -> tuple[int, int | None]:
    """Return the users at the beginning, 0 in the open model, and at the end if their number changes."""
    users = stage.user_level
    return (int(users.begin), int(users.to)) if isinstance(users, Ramp) else (users or 0, None)


def _part_names(load: Load) -> tuple[str, ...]:
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


def _quantum_ns(order: LoadOrder, count: int) -> Nanoseconds:
    quantum = order.load.quantum
    rate = order.stage.highest_user_rate if order.load.scenarios else order.stage.highest_rps
    return pacing.default_quantum_ns(rate / count) if quantum is None else ns(quantum)


async def _prepare(index: int, process: WorkerProcess, order: WorkerOrder) -> _Worker:
    """Give a worker its order and wait until it is ready.

    Raises:
        EnvironmentLacks: The worker did not become ready.
    """
    name = f"generator worker {index + 1}"
    with trio.move_on_after(_READY_WITHIN_S):
        with suppress(trio.BrokenResourceError, ValueError):
            await process.write_line(order.to_json())
            if line := await process.read_line():
                account = Account(name, _planned(order), notes=decode(line, WorkerReady).notes)
                account.has_users = order.scenarios is not None
                return _Worker(process, account)
        await process.process.wait()
    raise EnvironmentLacks(
        f"{name} did not start (exit status {process.returncode})",
        hint="run the experiment again; if it fails again, see the worker's output above",
    )


def _planned(order: WorkerOrder) -> int:
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


async def _follow(worker: _Worker, index: int, start_ns: Nanoseconds, stage: _Stage) -> None:
    """Start a worker and read its reports until it ends or fails."""
    account = worker.account
    try:
        await worker.process.write_line(WorkerStart(start_ns).to_json())
        while line := await worker.process.read_line():
            message = decode_progress(line)
            if isinstance(message, WorkerEnd):
                account.end = message
                worker.process.waits = True
                break
            account.add(message)
            stage.add(stage.collector.add(index, message))
    except trio.BrokenResourceError:
        pass
    except (ValueError, OverflowError):
        account.fault = "sent an unreadable message"
    account.died = account.end is None
    stage.add(stage.collector.end(index))


def _facts(order: LoadOrder, workers: Sequence[_Worker], stage: _Stage) -> LoadFacts:
    accounts = [worker.account for worker in workers]
    for index, worker in enumerate(workers):
        stage.add(stage.collector.end(index))
        worker.account.status = worker.process.returncode
    return LoadFacts(
        engine="builtin",
        workers=len(workers),
        complete=True,
        clock=worker_accounts.clock(accounts),
        lost_workers=worker_accounts.losses(accounts),
        notes=(*_pacing_notes(order, len(workers)), *worker_accounts.notes(accounts)),
        connections=worker_accounts.connections(accounts),
        **_counts(order, accounts, tuple(stage.seconds)),
    )


def _counts(order: LoadOrder, accounts: Sequence[Account], reported: Sequence[LoadSecond]) -> dict[str, Any]:
    """Return the fields of `LoadFacts` that hold counts, with what dead workers lost."""
    if order.load.scenarios:
        is_open = not order.stage.most_users
        counts = scenario_counts(order.load, accounts, reported, is_open=is_open)
        return {field.name: getattr(counts, field.name) for field in dataclasses.fields(counts)}
    seconds = tuple(worker_accounts.with_lost(reported, accounts, order.stage.duration))
    parts = worker_accounts.parts(accounts, seconds, order.load.shares)
    return {
        "planned": sum(account.planned for account in accounts),
        "seconds": worker_accounts.with_lost_parts(seconds, parts),
        "parts": parts,
        "backlog": worker_accounts.backlog(accounts),
    }


def _pacing_notes(order: LoadOrder, count: int) -> list[str]:
    """Return how arrivals were spaced and on which processors the workers ran."""
    quantum_ns = _quantum_ns(order, count)
    notes = []
    if quantum_ns:
        notes.append(f"requests were sent in bunches at most {quantum_ns / NS_PER_US:,.0f} µs wide")
    if order.load.cpus:
        processors = ", ".join(map(str, sorted(order.load.cpus)))
        notes.append(f"the generator was pinned to processors {processors}")
    if addresses := order.endpoint.addresses:
        workers = f"{count // len(addresses)} of {count} workers for each"
        notes.append(f"requests went to {', '.join(addresses)} in turn, {workers}")
    return notes
