"""A stage against a simulated server, recorded by the generator's own code."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.core.load_facts import DropCauses, LoadFacts
from runner.core.units import NS_PER_S, ns
from runner.load import pacing, worker_accounts
from runner.load.backlog import Backlog
from runner.load.merge import Collector
from runner.load.messages import WorkerEnd
from runner.load.timeline import Timeline
from runner.load.worker_accounts import Account
from runner.load.worker_order import WorkerOrder, WorkerRequest

INFINITE = math.inf


@dataclass(frozen=True)
class Ended:
    """How a request ended: when it was due and when it ended, in seconds after the start; None if dropped."""

    due: float
    end: float | None
    ok: bool = True


def order(rate, duration, warmup=0.0, *, poisson=False, seed=1, rate_to=None) -> WorkerOrder:
    return WorkerOrder(
        family=2, address=("127.0.0.1", 1), requests=(WorkerRequest(b"", head=False),),
        new_connections=False, rate=rate, warmup=warmup, duration=duration, poisson=poisson, seed=seed,
        worker=0, workers=1, max_in_flight=10**9, when_full="drop", timeout=1e6, quantum_ns=0,
        rate_to=rate_to,
    )  # fmt: skip


def due_times(o: WorkerOrder) -> list[float]:
    if o.ramp:
        arrivals = o.ramp.poisson(o.seed) if o.poisson else o.ramp.arrivals()
        return [due / NS_PER_S for due in arrivals]
    if o.poisson:
        nanoseconds = pacing.poisson(o.rate, o.warmup + o.duration, o.seed, worker=0, workers=1)
        return [due / NS_PER_S for due in nanoseconds]
    return [n / o.rate for n in range(pacing.planned(o.rate, o.warmup + o.duration))]


def constant(latency: float) -> Callable[[Sequence[float]], list[Ended]]:
    """A server that responds to everything after the same time."""
    return lambda due: [Ended(at, at + latency) for at in due]


def queue(
    capacity: float, bound: float = INFINITE, servers: int = 1
) -> Callable[[Sequence[float]], list[Ended]]:
    """Servers that respond to `capacity` requests a second; what does not fit their queue is dropped."""

    def serve(due: Sequence[float]) -> list[Ended]:
        service_s, free, under_way, ended = servers / capacity, [0.0] * servers, [], []
        for at in due:
            while under_way and under_way[0] <= at:
                heapq.heappop(under_way)
            if len(under_way) >= bound + servers:
                ended.append(Ended(at, None, ok=False))
                continue
            end = max(at, heapq.heappop(free)) + service_s
            heapq.heappush(free, end)
            heapq.heappush(under_way, end)
            ended.append(Ended(at, end))
        return ended

    return serve


def sharing(capacity: float) -> Callable[[Sequence[float]], list[Ended]]:
    """A processor that all requests under way share equally, as of a service with a thread for each."""

    def serve(due: Sequence[float]) -> list[Ended]:
        ends, work, now, waiting = {}, [], 0.0, deque(enumerate(due))
        served = 0.0  # by each request under way since the start, in seconds of its own processor
        while waiting or work:
            arrives = waiting[0][1] if waiting else INFINITE
            ready = now + (work[0][0] - served) * len(work) if work else INFINITE
            if arrives <= ready:
                served += (arrives - now) / len(work) if work else 0.0
                now = arrives
                at, _ = waiting.popleft()
                heapq.heappush(work, (served + 1 / capacity, at))
            else:
                served, now = work[0][0], ready
                ends[heapq.heappop(work)[1]] = now
        return [Ended(at, ends[number]) for number, at in enumerate(due)]

    return serve


def in_any_order(
    capacity: float, choose: Callable[[list[int]], int]
) -> Callable[[Sequence[float]], list[Ended]]:
    """One server that takes the next of those that wait by `choose`, which gives a place in their list."""

    def serve(due: Sequence[float]) -> list[Ended]:
        ends, waiting, coming, now = {}, [], deque(enumerate(due)), 0.0
        while coming or waiting:
            while coming and (coming[0][1] <= now or not waiting):
                number, at = coming.popleft()
                now = max(now, at)
                waiting.append(number)
            now += 1 / capacity
            ends[waiting.pop(choose(waiting))] = now
        return [Ended(at, ends[number]) for number, at in enumerate(due)]

    return serve


def record(o: WorkerOrder, requests: Sequence[Ended]) -> LoadFacts:
    """Return the facts of these requests, recorded as a worker of the built-in engine does."""
    seconds, collector = [], Collector(1)

    def emit(tally):
        now = o.warmup + min(tally.index + 1, o.duration)
        under_way = sum(r.due <= now < r.end for r in requests if r.end is not None)
        seconds.extend(collector.add(0, tally.message(cpu_s=0.0, in_flight=under_way)))

    timeline, backlog = Timeline(0, o.warmup, o.duration, emit), Backlog(o)
    planned = 0
    for request in requests:
        due = ns(request.due)
        if due < timeline.measure_ns:
            if request.end is not None and request.ok:
                timeline.at(ns(request.end)).completed += 1
            continue
        planned += 1
        timeline.at(due).scheduled += 1
        if request.end is None:
            timeline.at(due).dropped += 1
            continue
        end = ns(request.end)
        tally, after = timeline.at(end), due - timeline.measure_ns
        timeline.at(due).sent += 1
        if request.ok:
            tally.completed += 1
            tally.succeeded += 1
            tally.response_time.add(end - due)
            tally.whole.add(end - due)
            backlog.succeeded(after, end - due, end - timeline.end_ns)
        else:
            tally.failures["timeout"] += 1
            backlog.ended(after, end - due)
    last = max((r.end or r.due for r in requests), default=0)
    timeline.advance(max(ns(last), timeline.end_ns) + NS_PER_S)
    timeline.close_all()
    seconds += collector.end(0)
    account = Account("worker", planned, end=WorkerEnd(peak_rss_kib=1, backlog=(backlog.to_wire(),)))
    return LoadFacts(
        "builtin", 1, planned, tuple(seconds), complete=True, clock="simulated",
        backlog=worker_accounts.backlog([account]), drops=DropCauses(),
    )  # fmt: skip


def simulate(o: WorkerOrder, server: Callable[[Sequence[float]], list[Ended]]) -> LoadFacts:
    return record(o, server(due_times(o)))
