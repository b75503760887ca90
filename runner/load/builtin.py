"""The built-in engine: workers on one machine or several share one schedule, and their reports are merged."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import trio

from runner.cluster.errors import AgentFailed
from runner.core.compact import CompactList
from runner.core.errors import EnvironmentLacks
from runner.core.facts import Window
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.node_facts import NodeLoad, losses
from runner.core.units import NS_PER_S, NS_PER_US, Nanoseconds, ns
from runner.load import worker_accounts, worker_losses, worker_notes
from runner.load.addresses import resolve
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.merge import Collector
from runner.load.messages import WorkerEnd, WorkerReady, decode, decode_progress
from runner.load.scenario_accounts import scenario_counts
from runner.load.site import Site, Team, ThisMachine, Worker
from runner.load.worker_accounts import Account
from runner.load.worker_order import WorkerOrder, WorkerStart
from runner.load.worker_parts import part_names, planned_by, quantum_ns, worker_orders
from runner.load.worker_process import WorkerPool

_READY_WITHIN_S: Final = 15
_GRACE_S: Final = 5


@dataclass(slots=True)
class _Worker:
    """One process and what it has reported."""

    process: Worker
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
    targets = await trio.to_thread.run_sync(resolve, order.endpoint)
    async with _site(order) as site:
        count = site.count(order, len(targets))
        orders = await trio.to_thread.run_sync(worker_orders, order, targets, count)
        async with site.gather(order, count, on_spawn) as team:
            workers = await _prepare_all(team, await team.orders(orders))
            window = _window(order, await team.synchronize())
            accounts = [worker.account for worker in workers]
            so_far = partial(team.facts_so_far, accounts, window)
            task_status.started(dataclasses.replace(team.started(window), nodes_so_far=so_far))
            stage = _Stage(_collector(order, count), on_second, order.seconds)
            overdue_s = (window.end_ns - time.monotonic_ns()) / NS_PER_S + 2 * order.load.timeout + _GRACE_S
            with trio.move_on_after(overdue_s):
                async with trio.open_nursery() as nursery:
                    for index in range(count):
                        nursery.start_soon(_follow, team, workers, index, window.start_ns, stage)
            nodes = await team.facts(accounts, window)
    return _facts(order, workers, stage, nodes)


def worker_pool() -> WorkerPool:
    """Return where this engine's processes wait between two stages."""
    return WorkerPool("runner.load.worker")


@asynccontextmanager
async def _site(order: LoadOrder) -> AsyncIterator[Site]:
    """Provide the machines of an order; processes for this stage alone end with it."""
    if order.site is not None:
        yield order.site
    elif order.pool is not None:
        yield ThisMachine(order.pool)
    else:
        async with worker_pool() as pool:
            yield ThisMachine(pool)


def _collector(order: LoadOrder, count: int) -> Collector:
    return Collector(count, part_names(order.load), tuple(order.load.scenario_shares))


def _window(order: LoadOrder, lead_ns: Nanoseconds) -> Window:
    start = time.monotonic_ns() + lead_ns
    measure = start + ns(order.stage.warmup)
    return Window(start, measure, measure + ns(order.stage.duration))


async def _prepare_all(team: Team, orders: Sequence[WorkerOrder]) -> list[_Worker]:
    """Give all workers their orders at once, and wait until all are ready.

    Raises:
        EnvironmentLacks: One did not become ready.
    """
    prepared: dict[int, _Worker] = {}
    failures: list[EnvironmentLacks] = []

    async def prepare(index: int, order: WorkerOrder) -> None:
        try:
            prepared[index] = await _prepare(team.name(index), team.workers[index], order)
        except EnvironmentLacks as error:
            fault = team.fault(index)
            failures.append(AgentFailed(f"{team.name(index)} {fault}") if fault else error)

    async with trio.open_nursery() as nursery:
        for index, order in enumerate(orders):
            nursery.start_soon(prepare, index, order)
    if failures:
        raise failures[0]
    return [prepared[index] for index in range(len(orders))]


async def _prepare(name: str, process: Worker, order: WorkerOrder) -> _Worker:
    """Give a worker its order and wait until it is ready.

    Raises:
        EnvironmentLacks: The worker did not become ready.
    """
    with trio.move_on_after(_READY_WITHIN_S):
        with suppress(trio.BrokenResourceError, ValueError):
            await process.write_line(order.to_json())
            if line := await process.read_line():
                account = Account(name, planned_by(order), notes=decode(line, WorkerReady).notes)
                account.has_users = order.scenarios is not None
                return _Worker(process, account)
        await process.wait()
    raise EnvironmentLacks(
        f"{name} did not start (exit status {process.returncode})",
        hint="run the experiment again; if it fails again, see the worker's output above",
    )


async def _follow(
    team: Team, workers: Sequence[_Worker], index: int, start_ns: Nanoseconds, stage: _Stage
) -> None:
    """Start a worker and read its reports until it ends or fails."""
    worker, account = workers[index], workers[index].account
    try:
        await worker.process.write_line(WorkerStart(team.start_ns(index, start_ns)).to_json())
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
    if account.died and (fault := team.fault(index)):
        account.fault, account.is_out_of_reach = fault, True
    stage.add(stage.collector.end(index))


def _facts(
    order: LoadOrder, workers: Sequence[_Worker], stage: _Stage, nodes: tuple[NodeLoad, ...]
) -> LoadFacts:
    accounts = [worker.account for worker in workers]
    for index, worker in enumerate(workers):
        stage.add(stage.collector.end(index))
        worker.account.status = worker.process.returncode
    return LoadFacts(
        engine="builtin",
        workers=len(workers),
        complete=True,
        clock=worker_notes.clock(accounts),
        lost_workers=_losses(order, accounts, nodes),
        notes=(*_pacing_notes(order, len(workers)), *worker_notes.notes(accounts)),
        connections=worker_accounts.connections(accounts),
        nodes=nodes,
        drops=worker_losses.drop_causes(accounts),
        longest_stall_s=worker_losses.longest_stall_s(accounts),
        **_counts(order, accounts, tuple(stage.seconds)),
    )


def _losses(order: LoadOrder, accounts: Sequence[Account], nodes: Sequence[NodeLoad]) -> tuple[str, ...]:
    """Return a sentence for each reason why nodes were lost, and for each other worker that was."""
    what = "users" if order.load.scenarios else "requests"
    of_nodes = [loss.sentence for loss in losses(nodes, what)]
    others = [account for account in accounts if not account.is_out_of_reach]
    return (*of_nodes, *worker_losses.losses(others))


def _counts(order: LoadOrder, accounts: Sequence[Account], reported: Sequence[LoadSecond]) -> dict[str, Any]:
    """Return the fields of `LoadFacts` that hold counts, with what dead workers lost."""
    if order.load.scenarios:
        is_open = not order.stage.most_users
        counts = scenario_counts(order.load, accounts, reported, is_open=is_open)
        return {field.name: getattr(counts, field.name) for field in dataclasses.fields(counts)}
    seconds = tuple(worker_losses.with_lost(reported, accounts, order.stage.duration))
    parts = worker_accounts.parts(accounts, seconds, order.load.shares)
    return {
        "planned": sum(account.planned for account in accounts),
        "seconds": worker_losses.with_lost_parts(seconds, parts),
        "parts": parts,
        "backlog": worker_accounts.backlog(accounts),
    }


def _pacing_notes(order: LoadOrder, count: int) -> list[str]:
    """Return how arrivals were spaced and on which processors the workers ran."""
    width_ns = quantum_ns(order, count)
    notes = []
    if width_ns:
        notes.append(f"requests were sent in bunches at most {width_ns / NS_PER_US:,.0f} µs wide")
    if order.load.cpus:
        processors = ", ".join(map(str, sorted(order.load.cpus)))
        notes.append(f"the generator was pinned to processors {processors}")
    if addresses := order.endpoint.addresses:
        workers = f"{count // len(addresses)} of {count} workers for each"
        notes.append(f"requests went to {', '.join(addresses)} in turn, {workers}")
    return notes
