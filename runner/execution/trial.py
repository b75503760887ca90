"""Runs one trial in one nursery: load generation, monitoring, and a watch for system failure.

A trial always ends in facts. When the run is aborted, or an engine cannot start, the facts are delivered
before the exception propagates, so that no measurement is lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from msgspec.structs import replace

from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks
from runner.core.facts import Event, TrialFacts, Window
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.status_advice import SERVER_ERROR
from runner.core.system_facts import ProxyFacts
from runner.execution.lost_nodes import agent_fault, lost_events
from runner.execution.trial_context import TrialContext
from runner.execution.trial_record import Record, since_window, trial_facts
from runner.experiment.arrivals import numbering
from runner.experiment.trials import Trial
from runner.load.engine import Engine, LoadOrder, LoadStarted
from runner.observe.counters.gather import Counters
from runner.observe.counters.page_watch import Pages
from runner.observe.processes import start_ticks
from runner.observe.sampler import watch
from runner.observe.surroundings import Surroundings
from runner.stack.protocols import Stack

if TYPE_CHECKING:  # runs on one machine need none of them
    from runner.cluster.client import Cluster
    from runner.execution.node_watch import NodeWatch

_NODE_INTERVAL_S: Final = 0.5
_OF_PROXY: Final = ("bad_status", "closed_early", "reset")
"""Failures that a proxy may be the reason for."""
"""More samples of a node are of no use for peaks over a second, and cost its agent CPU."""
_LAST_SECOND_S: Final = 1.5
"""A worker reports a second of load within this time after the second began."""


async def run_trial(
    trial: Trial,
    stack: Stack,
    engine: Engine,
    context: TrialContext,
    *,
    on_facts: Callable[[TrialFacts], None],
) -> None:
    """Offer one stage to a running stack, and observe it.

    Args:
        trial: What to run.
        stack: Where to run it.
        engine: What offers the load.
        context: What else the trial works with.
        on_facts: Receives the facts, also when this raises.

    Raises:
        EnvironmentLacks: The engine cannot run here. A node that is lost before the stage begins is an event
            instead: the next stage may do without it.
    """
    record = Record(context.inputs, helpers=context.helpers)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch_stack, stack, record, nursery.cancel_scope)
            nursery.start_soon(stack.watched.note_departures, record.note)
            order = _order(trial, stack, context)
            record.seconds = order.seconds
            await _offer_and_watch(trial, partial(engine, order), stack, context, record)
            record.app_output = await _output_after_errors(stack, record)
            record.proxy_errors = await _proxy_errors(stack, record)
            nursery.cancel_scope.cancel()
        record.status = "failed" if record.events else "complete"
        record.events += lost_events(record.load)
    except (EnvironmentLacks, BaseExceptionGroup) as error:
        if (fault := agent_fault(error)) is None:
            raise
        record.events.append(Event("generator-lost", f"the stage was not offered: {fault.message}"))
        record.status = "failed"
    finally:
        on_facts(trial_facts(trial, stack, record))


def _order(trial: Trial, stack: Stack, context: TrialContext) -> LoadOrder:
    load = trial.configuration.load
    return LoadOrder(
        stack.endpoint,
        load,
        trial.stage,
        context.keep,
        context.pool,
        context.site,
        context.inputs.of(load),
        numbering(load, trial.earlier),
    )


async def _output_after_errors(stack: Stack, record: Record) -> tuple[str, ...]:
    """Return the end of the app's output if it responded with an error of its own; else nothing."""
    seconds = record.load.seconds if record.load else ()
    if not any(status >= SERVER_ERROR for second in seconds for status in second.statuses):
        return ()
    return record.inputs.masked_lines(await stack.app_output())


async def _proxy_errors(stack: Stack, record: Record) -> tuple[str, ...]:
    """Return the end of the proxy's error log if requests failed that it may have caused; else nothing."""
    seconds = record.load.seconds if record.load else ()
    refused = any(second.failures.get(kind) for second in seconds for kind in _OF_PROXY)
    return record.inputs.masked_lines(await stack.proxy_errors()) if refused else ()


def not_started(trial: Trial, event: Event) -> TrialFacts:
    """Return the facts of a trial whose stack did not start again."""
    record = Record(status="failed", events=[event])
    return trial_facts(trial, None, record)


async def _offer_and_watch(
    trial: Trial,
    offer_load: partial[Coroutine[Any, Any, LoadFacts]],
    stack: Stack,
    context: TrialContext,
    record: Record,
) -> None:
    def on_second(second: LoadSecond) -> None:
        record.wake()
        context.watcher.second(second)

    def on_sample(sample: Sample) -> None:
        context.watcher.sample(sample, record.subjects)

    async def offer(task_status: trio.TaskStatus[LoadStarted]) -> None:
        record.load = await offer_load(
            on_spawn=context.guard.process, on_second=on_second, task_status=task_status
        )
        if record.load.nodes and all(node.lost for node in record.load.nodes):
            nursery.cancel_scope.cancel()  # nothing is left to observe

    observed: ObservedFacts | None = None
    with record.inputs.unchanged(trial.configuration.load):
        async with trio.open_nursery() as nursery:
            started: LoadStarted = await nursery.start(offer)
            for watch_more in _watches(trial, stack, started, record, context):
                nursery.start_soon(watch_more)
            interval = trial.configuration.metrics.interval
            observed = await watch(
                record.subjects,
                started.window,
                interval=interval,
                on_sample=on_sample,
                samples=record.samples,
            )
        if observed is not None:
            record.observed = _complete(observed, record)
    for pid in started.pids:
        context.guard.forget(pid)


def _watches(
    trial: Trial,
    stack: Stack,
    started: LoadStarted,
    record: Record,
    context: TrialContext,
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """Note what has started, and return what else observes it."""

    def on_node_sample(_: str, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        context.watcher.sample(sample, subjects)

    record.window, record.loads_so_far = started.window, started.nodes_so_far
    record.subjects = (*stack.subjects, *_own_subjects(started.pids, record.helpers))
    record.counters = _counters(stack, record.subjects, started.window)
    record.surroundings = Surroundings(
        record.subjects, started.window, stack.inspect_urls, stack.description.services or {}
    )
    record.nodes = _node_watch(context.cluster, trial, stack, started, on_node_sample)
    of_nodes = [record.nodes.watch] if record.nodes else []
    return [record.counters.watch, record.surroundings.watch, *of_nodes]


def _complete(observed: ObservedFacts, record: Record) -> ObservedFacts:
    """Return what was observed in a whole stage, with all counters and nodes."""
    assert record.counters is not None
    assert record.surroundings is not None
    observed = record.surroundings.add_to(_with_counters(observed, record.counters))
    observed = replace(observed, notes=(*observed.notes, *record.departures))
    return record.nodes.add_to(observed) if record.nodes else observed


def _node_watch(
    cluster: Cluster | None,
    trial: Trial,
    stack: Stack,
    started: LoadStarted,
    on_sample: Callable[[str, Sample, tuple[Subject, ...]], None],
) -> NodeWatch | None:
    """Return the observation of the nodes; None on one machine."""
    if cluster is None:
        return None
    from runner.execution.node_watch import NodeWatch  # noqa: PLC0415  (runs on one machine need it not)

    metrics, placed = trial.configuration.metrics, getattr(stack, "placed", ())
    interval = max(metrics.interval, min(_NODE_INTERVAL_S, metrics.peak_window / 2))
    return NodeWatch(cluster, started.window, interval, placed, started.on_nodes, on_sample)


def _with_counters(observed: ObservedFacts, counters: Counters) -> ObservedFacts:
    return replace(
        observed,
        requests=counters.requests,
        notes=(*observed.notes, *counters.notes),
        counters=counters.readable,
        unreadable=counters.unreadable,
    )


def _counters(stack: Stack, subjects: tuple[Subject, ...], window: Window) -> Counters:
    pages = Pages(stack.metrics_urls, stack.status_urls, _max_connections(stack.description.proxy))
    return Counters(subjects, window, pages, stack.endpoint)


async def _watch_stack(stack: Stack, record: Record, scope: trio.CancelScope) -> None:
    """End the trial when the system under test fails."""
    event = await stack.wait_broken()
    event = record.inputs.masked_event(event)
    record.events.append(replace(event, t_s=since_window(record.window)))
    if record.window is not None:  # the requests of the second in which it failed are counted
        with trio.move_on_after(_LAST_SECOND_S):
            await record.next_second.wait()
    scope.cancel()


def _max_connections(proxy: ProxyFacts | None) -> int | None:
    """Return how many connections all workers of nginx may have open; None without nginx."""
    if proxy is None or not proxy.connections:
        return None
    workers = proxy.workers if isinstance(proxy.workers, int) else os.cpu_count() or 1
    return proxy.connections * workers


def _own_subjects(generator_pids: tuple[int, ...], helpers: tuple[int, ...]) -> tuple[Subject, ...]:
    """Return what is watched in every trial: generator, runner and host."""
    generator = tuple(
        Subject(f"generator-{number}", Role.GENERATOR, "tree", pid, start_ticks(pid))
        for number, pid in enumerate(generator_pids, start=1)
    )
    own = os.getpid()
    beside = tuple(
        Subject(f"runner-{number}", Role.RUNNER, "tree", pid, start_ticks(pid))
        for number, pid in enumerate(helpers, start=2)
    )
    return (
        *generator,
        Subject("runner", Role.RUNNER, "process", own, start_ticks(own)),
        *beside,
        Subject("system", Role.SYSTEM, "system"),
    )
