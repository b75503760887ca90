"""What is known of a trial while it runs, and the facts that it ends in."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import trio

from runner.core.codes import Role
from runner.core.compact import CompactList
from runner.core.facts import Event, TrialFacts, TrialStatus, Window
from runner.core.load_facts import DropCauses, LoadFacts, LoadSecond, PartFacts
from runner.core.node_facts import NodeLoad
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.units import NS_PER_S, Seconds
from runner.execution.failed_check import with_failed_checks
from runner.execution.inputs import NO_RUN_INPUTS, RunInputs
from runner.execution.sample_masking import with_masked_samples
from runner.experiment.traffic import Load
from runner.experiment.trials import Trial
from runner.load.scenario_accounts import interrupted_counts
from runner.load.worker_losses import ended_unknown, without_end
from runner.observe.counters.gather import Counters
from runner.observe.surroundings import Surroundings
from runner.stack.protocols import Stack

if TYPE_CHECKING:  # runs on one machine need it not
    from runner.execution.node_watch import NodeWatch


@dataclass(slots=True)
class Record:
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
    nodes: NodeWatch | None = None
    load: LoadFacts | None = None
    loads_so_far: Callable[[], tuple[NodeLoad, ...]] = tuple
    app_output: tuple[str, ...] = ()
    proxy_errors: tuple[str, ...] = ()
    observed: ObservedFacts | None = None
    status: TrialStatus = "aborted"
    helpers: tuple[int, ...] = ()

    def note(self, departure: str) -> None:
        """Keep that a watched process ended, and when."""
        at_s = since_window(self.window)
        when = "before the window" if at_s is None or at_s < 0 else f"{at_s:.1f} s after the window began"
        self.departures.append(f"{departure} ({when})")

    def wake(self) -> None:
        """Wake what waits for a second of load."""
        self.next_second.set()
        self.next_second = trio.Event()

    @property
    def workers(self) -> int:
        """How many processes generate the load."""
        here = sum(subject.role == Role.GENERATOR for subject in self.subjects)
        return here + (sum(map(len, self.nodes.workers.values())) if self.nodes else 0)

    def observed_so_far(self) -> ObservedFacts | None:
        """Return what was observed of a stage that did not end."""
        if self.window is None or self.counters is None or self.surroundings is None:
            return None
        observed = ObservedFacts(
            self.subjects,
            tuple(self.samples),
            counters=self.counters.readable,
            unreadable=self.counters.unreadable,
        )
        observed = self.surroundings.add_to(observed)
        return self.nodes.add_to(observed) if self.nodes else observed


def since_window(window: Window | None) -> Seconds | None:
    """Return the time since the measured window began; None before it is known."""
    if window is None:
        return None
    return round((time.monotonic_ns() - window.measure_ns) / NS_PER_S, 3)


def trial_facts(trial: Trial, stack: Stack | None, record: Record) -> TrialFacts:
    """Return the facts of a trial, as far as they are known."""
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
        observed=record.observed or record.observed_so_far(),
        events=tuple(record.events),
        topology=stack.description if stack else None,
        proves=trial.counter_experiment_for,
        change=trial.change,
        block=trial.block,
        app_output=record.app_output,
        proxy_errors=record.proxy_errors,
        ramp=stage.ramp,
        users=stage.user_level,
        users_per_s=stage.user_rate_level,
        window_at=_clock_of(record.window),
    )


def _clock_of(window: Window | None) -> str:
    """Return when the measured window begins on the wall clock, in UTC; empty before that is known."""
    if window is None:
        return ""
    since = timedelta(microseconds=(time.monotonic_ns() - window.measure_ns) / 1000)
    return (datetime.now(UTC) - since).isoformat(timespec="milliseconds")


def _interrupted(trial: Trial, record: Record) -> LoadFacts | None:
    """Return the facts of a load whose engine did not finish."""
    if record.window is None:
        return None
    load, planned = trial.configuration.load, round((trial.stage.target_rps or 0) * trial.stage.duration)
    if load.scenarios:
        return _interrupted_scenarios(load, record)
    seconds = tuple(record.seconds)
    return LoadFacts(
        engine=load.engine,
        workers=record.workers,
        planned=planned,
        seconds=tuple(ended_unknown(seconds, load.shares)),
        complete=False,
        clock="not recorded, because the stage was interrupted",
        parts={name: PartFacts(round(planned * share), share) for name, share in load.shares.items()},
        nodes=record.loads_so_far(),
        drops=DropCauses(cut_off=max(0, without_end(seconds))),
    )


def _interrupted_scenarios(load: Load, record: Record) -> LoadFacts:
    counts = interrupted_counts(load, tuple(record.seconds))
    return LoadFacts(
        engine=load.engine,
        workers=record.workers,
        planned=counts.planned,
        seconds=counts.seconds,
        complete=False,
        clock="not recorded, because the stage was interrupted",
        parts=counts.parts,
        scenarios=counts.scenarios,
        nodes=record.loads_so_far(),
    )
