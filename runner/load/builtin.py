"""The built-in engine: worker processes on one schedule, of which this side only merges."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from runner.errors import EnvironmentLacks
from runner.facts import LoadFacts, LoadSecond, Window
from runner.load import pacing
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.merge import Collector
from runner.load.order import WorkerOrder
from runner.load.request import request_bytes, resolve
from runner.units import NS_PER_S, PerSecond, ns

_RATE_PER_WORKER: Final = 20_000
_LEAD_NS: Final = 150_000_000
_READY_WITHIN_S: Final = 15
_GRACE_S: Final = 5
_STALL_WORTH_SAYING_NS: Final = 500_000_000
_CLOCK_SHIFT_WORTH_SAYING_NS: Final = 1_000_000


@dataclass(slots=True)
class _Lines:
    """JSON lines of a stream."""

    stream: trio.abc.ReceiveStream
    rest: bytes = b""

    async def read(self) -> dict[str, Any] | None:
        """The next line; None when the stream has ended."""
        while b"\n" not in self.rest:
            chunk = await self.stream.receive_some()
            if not chunk:
                return None
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


@dataclass(slots=True)
class _Worker:
    """One process and what it has reported."""

    index: int
    planned: int
    process: trio.Process
    lines: _Lines
    note: str = ""
    scheduled: int = 0
    accounted: int = 0
    ending: dict[str, Any] | None = None
    seconds: int = 0


@dataclass(slots=True)
class _Stage:
    """The stage as it comes in."""

    collector: Collector
    on_second: Callable[[LoadSecond], None]
    seconds: list[LoadSecond] = field(default_factory=list)

    def take(self, whole: Sequence[LoadSecond]) -> None:
        """Keep seconds that are whole, and pass them on."""
        for second in whole:
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
    family, address = await trio.to_thread.run_sync(resolve, order.endpoint)
    count = _worker_count(order)
    async with _spawned(count, on_spawn) as processes:
        workers = [
            await _brief(index, process, _worker_order(order, index, count, family, address))
            for index, process in enumerate(processes)
        ]
        window = _window(order)
        task_status.started(LoadStarted(tuple(process.pid for process in processes), window))
        stage = _Stage(Collector(count), on_second)
        overdue_s = (window.end_ns - time.monotonic_ns()) / NS_PER_S + order.load.timeout + _GRACE_S
        with trio.move_on_after(overdue_s):
            async with trio.open_nursery() as nursery:
                for worker in workers:
                    nursery.start_soon(_follow, worker, window.start_ns, stage)
    return _facts(order, workers, stage)


def _worker_count(order: LoadOrder) -> int:
    """As asked; by itself one worker for each 20,000 requests a second, at most one a core."""
    if order.load.workers != "auto":
        return min(order.load.workers, order.load.max_in_flight)
    wanted = math.ceil(order.stage.rps / _RATE_PER_WORKER)
    return max(1, min(wanted, os.cpu_count() or 1, order.load.max_in_flight))


def _window(order: LoadOrder) -> Window:
    start = time.monotonic_ns() + _LEAD_NS
    measure = start + ns(order.stage.warmup)
    return Window(start, measure, measure + ns(order.stage.duration))


def _worker_order(
    order: LoadOrder, index: int, count: int, family: int, address: tuple[str | int, ...]
) -> WorkerOrder:
    load, stage = order.load, order.stage
    share, rest = divmod(load.max_in_flight, count)
    return WorkerOrder(
        family=family,
        address=address,
        request=request_bytes(order),
        head=load.request.method == "HEAD",
        status=load.expect.status,
        body_contains=(load.expect.body_contains or "").encode(),
        new_connections=load.connection == "new",
        rate=stage.rps,
        warmup=stage.warmup,
        duration=stage.duration,
        poisson=load.arrivals == "poisson",
        seed=load.seed,
        worker=index,
        workers=count,
        max_in_flight=share + (index < rest),
        when_full=load.when_full,
        timeout=load.timeout,
        quantum_ns=_quantum_ns(stage.rps / count),
    )


def _quantum_ns(rate_per_worker: PerSecond) -> int:
    return pacing.default_quantum_ns(rate_per_worker)


@asynccontextmanager
async def _spawned(count: int, on_spawn: Callable[[int], None]) -> AsyncIterator[list[trio.Process]]:
    """Worker processes, all of them gone afterwards whatever happened."""
    processes: list[trio.Process] = []
    try:
        for _ in range(count):
            process = await trio.lowlevel.open_process(
                [sys.executable, "-P", "-m", "runner.load.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            processes.append(process)
            on_spawn(process.pid)
        yield processes
    finally:
        with trio.CancelScope(shield=True):
            for process in processes:
                await _end(process)


async def _end(process: trio.Process) -> None:
    """Let a worker see that its order has ended, and kill it when it does not go."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.aclose()
    with trio.move_on_after(0.5):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.stdout.aclose()


async def _brief(index: int, process: trio.Process, order: WorkerOrder) -> _Worker:
    """Give a worker its order and wait until it is ready.

    Raises:
        EnvironmentLacks: It did not get ready.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    lines = _Lines(process.stdout)
    with trio.move_on_after(_READY_WITHIN_S):
        try:
            await process.stdin.send_all(order.to_json())
            ready = await lines.read()
        except trio.BrokenResourceError:
            ready = None
        if ready is not None:
            return _Worker(index, _planned(order), process, lines, note=ready["note"])
        await process.wait()
    raise EnvironmentLacks(
        f"generator worker {index + 1} did not start (exit status {process.returncode})",
        hint="run the same experiment again; if it stays, see its output above",
    )


def _planned(order: WorkerOrder) -> int:
    """How many of this worker's arrivals are due in the measured window."""
    if order.poisson:
        length = order.warmup + order.duration
        arrivals = pacing.poisson(order.rate, length, order.seed, worker=order.worker, workers=order.workers)
        return sum(due >= order.warmup * NS_PER_S for due in arrivals)
    before = pacing.planned(order.rate, order.warmup)
    total = pacing.planned(order.rate, order.warmup + order.duration)
    return _share(total, order) - _share(before, order)


def _share(arrivals: int, order: WorkerOrder) -> int:
    """How many ``k < arrivals`` have ``k % workers == worker``."""
    return (arrivals - order.worker + order.workers - 1) // order.workers if arrivals > order.worker else 0


async def _follow(worker: _Worker, start_ns: int, stage: _Stage) -> None:
    """Start a worker and read what it reports until it ends, well or badly."""
    assert worker.process.stdin is not None
    try:
        await worker.process.stdin.send_all(json.dumps({"start_ns": start_ns}).encode() + b"\n")
        while line := await worker.lines.read():
            if "end" in line:
                worker.ending = line
                break
            worker.seconds += 1
            worker.scheduled += line["scheduled"]
            worker.accounted += line["succeeded"] + line["dropped"] + sum(line["failures"].values())
            stage.take(stage.collector.line(worker.index, line))
    except trio.BrokenResourceError:
        pass
    stage.take(stage.collector.end(worker.index))


def _facts(order: LoadOrder, workers: Sequence[_Worker], stage: _Stage) -> LoadFacts:
    for worker in workers:
        stage.take(stage.collector.end(worker.index))
    lost = [sentence for worker in workers if (sentence := _loss(worker))]
    seconds = _with_lost(stage.seconds, workers, order)
    return LoadFacts(
        engine="builtin",
        workers=len(workers),
        planned=sum(worker.planned for worker in workers),
        seconds=tuple(seconds),
        complete=True,
        clock=_clock(workers),
        lost_workers=tuple(lost),
        notes=_notes(workers),
    )


def _loss(worker: _Worker) -> str:
    """What went wrong with a worker and what it cost; empty when nothing did."""
    name = f"generator worker {worker.index + 1}"
    if worker.ending is None:
        cost = worker.planned - worker.accounted
        status = worker.process.returncode
        how = f"ended by signal {-status}" if status is not None and status < 0 else "stopped answering"
        return f"{name} {how} after {worker.seconds} s; {cost:,} of its {worker.planned:,} requests are lost"
    stall_ns = worker.ending["longest_stall_ns"]
    if stall_ns < _STALL_WORTH_SAYING_NS:
        return ""
    late = round(stall_ns / NS_PER_S * worker.planned / max(1, worker.seconds))
    return f"{name} stood still for {stall_ns / NS_PER_S:.1f} s; about {late:,} requests were sent late"


def _with_lost(
    seconds: Sequence[LoadSecond], workers: Sequence[_Worker], order: LoadOrder
) -> list[LoadSecond]:
    """Count what died with a worker as dropped, so that every planned request ends in one count.

    What a dead worker had under way was sent, but nobody knows how it ended; it counts as dropped, too.
    """
    dead = [worker for worker in workers if worker.ending is None]
    if not dead:
        return list(seconds)
    unsent = sum(worker.planned - worker.scheduled for worker in dead)
    unknown = sum(worker.scheduled - worker.accounted for worker in dead)
    index = seconds[-1].index + 1 if seconds else math.ceil(order.stage.duration)
    return [*seconds, LoadSecond(index, scheduled=unsent, sent=-unknown, dropped=unsent + unknown)]


def _clock(workers: Sequence[_Worker]) -> str:
    unstamped = sum(worker.ending["unstamped"] for worker in workers if worker.ending)
    if not unstamped:
        return "answers by the kernel's receive stamps (SO_TIMESTAMPNS), all else by CLOCK_REALTIME"
    return (
        f"answers by the kernel's receive stamps (SO_TIMESTAMPNS) but for {unstamped:,} reads that had none "
        "and were stamped by the generator, all else by CLOCK_REALTIME"
    )


def _notes(workers: Sequence[_Worker]) -> tuple[str, ...]:
    notes = [worker.note for worker in workers if worker.note]
    endings = [worker.ending for worker in workers if worker.ending]
    shift_ns = max((ending["clock_shift_ns"] for ending in endings), default=0)
    if shift_ns >= _CLOCK_SHIFT_WORTH_SAYING_NS:
        notes.append(
            f"the wall clock was moved by {shift_ns / 1e6:,.1f} ms in the stage; latencies may be off by that"
        )
    if endings:
        peak = max(ending["peak_rss_kib"] for ending in endings) / 1024
        notes.append(f"a generator worker used at most {peak:.0f} MiB of memory")
    return tuple(dict.fromkeys(notes))
