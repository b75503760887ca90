"""Runs one trial in one nursery: load generation, monitoring, and a watch for system failure.

A trial always ends in facts. When the run is aborted, or an engine cannot start, the facts are delivered
before the exception propagates, so that no measurement is lost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import trio
from msgspec.structs import replace

from runner.core.codes import Role
from runner.core.compact import CompactList
from runner.core.facts import Event, TrialFacts, TrialStatus, Window
from runner.core.load_facts import LoadFacts, LoadSecond, PartFacts
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.status_advice import SERVER_ERROR
from runner.core.system_facts import ProxyFacts
from runner.core.units import NS_PER_S, Seconds
from runner.execution.failed_check import with_failed_checks
from runner.execution.inputs import NO_RUN_INPUTS, RunInputs
from runner.execution.job import TrialWatcher
from runner.execution.lost_nodes import lost_events
from runner.execution.sample_masking import with_masked_samples
from runner.experiment.arrivals import numbering
from runner.experiment.traffic import Load
from runner.experiment.trials import Trial
from runner.load.engine import Engine, LoadOrder, LoadStarted
from runner.load.scenario_accounts import interrupted_counts
from runner.load.site import Site, WorkerSource
from runner.observe.counters.gather import Counters
from runner.observe.counters.page_watch import Pages
from runner.observe.processes import start_ticks
from runner.observe.sampler import watch
from runner.observe.surroundings import Surroundings
from runner.stack.protocols import Guard, Stack

_LAST_SECOND_S: Final = 1.5
"""A worker reports a second of load within this time after the second began."""


@dataclass(slots=True)
class _Record:
    """What is known of a trial so far."""

    inputs: RunInputs = NO_RUN_INPUTS
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    window: Window | None = None
    subjects: tuple[Subject, ...] = ()
    seconds: CompactList[LoadSecond] = field(default_factory=partial(CompactList, LoadSecond))
    next_second: trio.Event = field(default_factory=trio.Event)
    samples: CompactList[Sample] = field(default_factory=partial(CompactList, Sample))
    events: list[Event] = field(default_factory=list)
    departures: list[str] = field(default_factory=list)
    counters: Counters | None = None
    surroundings: Surroundings | None = None
    load: LoadFacts | None = None
    app_output: tuple[str, ...] = ()
    observed: ObservedFacts | None = None
    status: TrialStatus = "aborted"

    def note(self, departure: str) -> None:
        """Keep that a watched process ended, and when."""
        at_s = _since_window(self.window)
        when = "before the window" if at_s is None or at_s < 0 else f"{at_s:.1f} s after the window began"
        self.departures.append(f"{departure} ({when})")

    def wake(self) -> None:
        """Wake what waits for a second of load."""
        self.next_second.set()
        self.next_second = trio.Event()


async def run_trial(
    trial: Trial,
    stack: Stack,
    engine: Engine,
    *,
    guard: Guard,
    pool: WorkerSource | None = None,
    inputs: RunInputs = NO_RUN_INPUTS,
    site: Site | None = None,
    watcher: TrialWatcher,
    on_facts: Callable[[TrialFacts], None],
    keep: Callable[[str, bytes], None] | None = None,
) -> None:
    """Offer one stage to a running stack, and observe it.

    Args:
        trial: What to run.
        stack: Where to run it.
        engine: What offers the load.
        guard: Receives every process that the engine starts.
        pool: Processes of earlier trials, which the engine may use again.
        inputs: What the requests need; no secret in them gets into the facts.
        site: The machines that send the load; None for this one.
        watcher: Receives the progress.
        on_facts: Receives the facts, also when this raises.
        keep: Receives the files that the engine generates, for the run's archive.

    Raises:
        EnvironmentLacks: The engine cannot run here.
    """
    record = _Record(inputs)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch_stack, stack, record, nursery.cancel_scope)
            nursery.start_soon(stack.watched.note_departures, record.note)
            order = _order(trial, stack, inputs, pool, keep, site)
            record.seconds = order.seconds
            await _offer_and_watch(trial, partial(engine, order), stack, guard, watcher, record)
            record.app_output = await _output_after_errors(stack, record)
            nursery.cancel_scope.cancel()
        record.status = "failed" if record.events else "complete"
        record.events += lost_events(record.load)
    finally:
        on_facts(_facts(trial, stack, record))


def _order(
    trial: Trial,
    stack: Stack,
    inputs: RunInputs,
    pool: WorkerSource | None,
    keep: Callable[[str, bytes], None] | None,
    site: Site | None,
) -> LoadOrder:
    load = trial.configuration.load
    first = numbering(load, trial.earlier)
    return LoadOrder(stack.endpoint, load, trial.stage, keep, pool, site, inputs.of(load), first)


async def _output_after_errors(stack: Stack, record: _Record) -> tuple[str, ...]:
    """Return the end of the app's output if it responded with an error of its own; else nothing."""
    seconds = record.load.seconds if record.load else ()
    if not any(status >= SERVER_ERROR for second in seconds for status in second.statuses):
        return ()
    return record.inputs.masked_lines(await stack.app_output())


def not_started(trial: Trial, event: Event) -> TrialFacts:
    """Return the facts of a trial whose stack did not start again."""
    record = _Record(status="failed", events=[event])
    return _facts(trial, None, record)


async def _offer_and_watch(
    trial: Trial,
    offer_load: partial[Coroutine[Any, Any, LoadFacts]],
    stack: Stack,
    guard: Guard,
    watcher: TrialWatcher,
    record: _Record,
) -> None:
    def on_second(second: LoadSecond) -> None:
        record.wake()
        watcher.second(second)

    def on_sample(sample: Sample) -> None:
        watcher.sample(sample, record.subjects)

    async def offer(task_status: trio.TaskStatus[LoadStarted]) -> None:
        record.load = await offer_load(on_spawn=guard.process, on_second=on_second, task_status=task_status)

    with record.inputs.unchanged(trial.configuration.load):
        async with trio.open_nursery() as nursery:
            started: LoadStarted = await nursery.start(offer)
            record.window = started.window
            record.subjects = (*stack.subjects, *_own_subjects(started.pids))
            record.counters = _counters(stack, record.subjects, started.window)
            record.surroundings = Surroundings(
                record.subjects, started.window, stack.inspect_urls, stack.description.services or {}
            )
            nursery.start_soon(record.counters.watch)
            nursery.start_soon(record.surroundings.watch)
            observed = await watch(
                record.subjects,
                started.window,
                interval=trial.configuration.metrics.interval,
                on_sample=on_sample,
                samples=record.samples,
            )
        observed = record.surroundings.add_to(_with_counters(observed, record.counters))
        record.observed = replace(observed, notes=(*observed.notes, *record.departures))
    for pid in started.pids:
        guard.forget(pid)


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


async def _watch_stack(stack: Stack, record: _Record, scope: trio.CancelScope) -> None:
    """End the trial when the system under test fails."""
    event = await stack.wait_broken()
    event = record.inputs.masked_event(event)
    record.events.append(Event(event.code, event.message, t_s=_since_window(record.window), log=event.log))
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


def _own_subjects(generator_pids: tuple[int, ...]) -> tuple[Subject, ...]:
    """Return what is watched in every trial: generator, runner and host."""
    generator = tuple(
        Subject(f"generator-{number}", Role.GENERATOR, "tree", pid, start_ticks(pid))
        for number, pid in enumerate(generator_pids, start=1)
    )
    own = os.getpid()
    return (
        *generator,
        Subject("runner", Role.RUNNER, "process", own, start_ticks(own)),
        Subject("system", Role.SYSTEM, "system"),
    )


def _since_window(window: Window | None) -> Seconds | None:
    if window is None:
        return None
    return round((time.monotonic_ns() - window.measure_ns) / NS_PER_S, 3)


def _facts(trial: Trial, stack: Stack | None, record: _Record) -> TrialFacts:
    stage = trial.stage
    load = record.load or _interrupted(trial, record)
    secrets = {**(stack.secrets if stack else {}), **record.inputs.masks}
    return TrialFacts(
        configuration=trial.configuration.name,
        stage=stage.name,
        repeat=trial.repeat,
        order=trial.order,
        started_at=record.started_at,
        target_rps=stage.target_rps,
        warmup_s=stage.warmup,
        window_s=stage.duration,
        status=record.status,
        load=with_failed_checks(with_masked_samples(load, secrets), trial.configuration.load)
        if load
        else None,
        observed=record.observed or _observed_so_far(record),
        events=tuple(record.events),
        topology=stack.description if stack else None,
        proves=trial.counter_experiment_for,
        change=trial.change,
        block=trial.block,
        app_output=record.app_output,
        ramp=stage.ramp,
        users=stage.user_level,
        users_per_s=stage.user_rate_level,
    )


def _interrupted(trial: Trial, record: _Record) -> LoadFacts | None:
    """Return the facts of a load whose engine did not finish."""
    if record.window is None:
        return None
    load, planned = trial.configuration.load, round((trial.stage.target_rps or 0) * trial.stage.duration)
    if load.scenarios:
        return _interrupted_scenarios(load, record)
    return LoadFacts(
        engine=load.engine,
        workers=sum(subject.role == Role.GENERATOR for subject in record.subjects),
        planned=planned,
        seconds=tuple(record.seconds),
        complete=False,
        clock="not recorded, because the stage was interrupted",
        parts={name: PartFacts(round(planned * share), share) for name, share in load.shares.items()},
    )


def _interrupted_scenarios(load: Load, record: _Record) -> LoadFacts:
    counts = interrupted_counts(load, tuple(record.seconds))
    return LoadFacts(
        engine=load.engine,
        workers=sum(subject.role == Role.GENERATOR for subject in record.subjects),
        planned=counts.planned,
        seconds=counts.seconds,
        complete=False,
        clock="not recorded, because the stage was interrupted",
        parts=counts.parts,
        scenarios=counts.scenarios,
    )


def _observed_so_far(record: _Record) -> ObservedFacts | None:
    if record.window is None or record.counters is None or record.surroundings is None:
        return None
    observed = ObservedFacts(
        record.subjects,
        tuple(record.samples),
        counters=record.counters.readable,
        unreadable=record.counters.unreadable,
    )
    return record.surroundings.add_to(observed)
