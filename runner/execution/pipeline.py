"""What `runner execute` does, from top to bottom: start reading here.

plan -> for each configuration: bring the stack up, run its trials, take it down
-> analyze -> report. Every trial is in the journal before the next one begins, and a
signal or a fault skips ahead to the last two steps.
"""

from __future__ import annotations

import json
import secrets
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import trio

from runner.analyze.calibration import above_ceiling, at_rate
from runner.analyze.results import results as analyze
from runner.analyze.results import search_sentence, upcoming
from runner.archive.create import archive_folder
from runner.archive.provenance import Provenance
from runner.core.errors import EnvironmentLacks, LoadproofError, OutputError
from runner.core.facts import Calibration, Event, RunFacts, TrialFacts
from runner.execution.trial import TrialWatcher, not_started, run_trial
from runner.experiment.model import Configuration, Experiment
from runner.experiment.trials import Trial
from runner.load.calibration_cache import calibrated
from runner.load.engines import ENGINES
from runner.observe.environment import environment
from runner.stack.kinds import OPENERS
from runner.stack.protocols import Guard, Stack, StackContext
from runner.stack.watchdog import open_watchdog
from runner.store.reanalyze import counter_experiments
from runner.store.rendered_files import rendered
from runner.store.run_file import RUN, Begun, Earlier, relative
from runner.store.run_folder import RESULTS, SPEC, RunFolder, make_folder, rescue_folder, scratch_folder

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Watcher(TrialWatcher, Protocol):
    """Told how the run goes; the terminal's side of it is `runner.cli.progress`."""

    def say(self, line: str) -> None:
        """A step worth a line, such as a stack coming up."""

    def trial_begins(self, trial: Trial, total: int) -> None:
        """The stack is up and a trial is about to start."""

    def trial_ends(self, facts: TrialFacts) -> None:
        """The trial is in the journal."""


@dataclass(frozen=True, slots=True)
class Job:
    """Everything one run needs to know.

    Attributes:
        experiment: What was asked.
        trials: What to run, in order.
        spec: The specification, byte for byte.
        spec_sha256: Its digest.
        base_dir: The folder that relative paths in the specification start from.
        out: The folder to write to.
        command: The command line that makes this run again.
        overrides: ``path=value`` of every --set.
        authorized: Whether load may be put on hosts that the specification allows.
        calibrate: Whether the generator is held against a null responder first.
        configurations: Names that `trials` were narrowed to; empty for all.
        stages: Likewise.
        earlier: The same run as far as it got before it was cut short, in `out` already.
    """

    experiment: Experiment
    trials: tuple[Trial, ...]
    spec: bytes
    spec_sha256: str
    base_dir: Path
    out: Path
    command: str
    overrides: tuple[str, ...]
    authorized: bool = False
    calibrate: bool = False
    configurations: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    earlier: Earlier | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        results: The content of results.json.
        folder: Where everything was written.
        archive: All of it as one file; None when nothing was measured or it could not be written.
        signal: The signal that ended the run early.
        error: The fault that ended the run early.
    """

    results: dict[str, Any]
    folder: Path
    archive: Path | None
    signal: signal.Signals | None
    error: LoadproofError | None


@dataclass(slots=True)
class _Progress:
    """What is known so far; grows until the run ends, however it ends."""

    run: RunFacts
    planned: list[Trial]
    trials: list[TrialFacts] = field(default_factory=list)
    signal: signal.Signals | None = None
    error: LoadproofError | None = None


@dataclass(frozen=True, slots=True)
class _Rig:
    """What every step of a run works with."""

    job: Job
    progress: _Progress
    folder: RunFolder
    watcher: Watcher
    guard: Guard
    scratch: Path

    def context(self, configuration: Configuration) -> StackContext:
        """What the opener of a configuration is given."""
        return StackContext(
            run_id=self.progress.run.run_id,
            name=configuration.name,
            base_dir=self.job.base_dir,
            scratch=self.scratch,
            guard=self.guard,
            say=self.watcher.say,
            allow_hosts=configuration.load.allow_hosts,
            authorized=self.job.authorized,
            keep_rendered=partial(self.provenance.rendered, configuration.name),
            keep_log=partial(self.provenance.log, configuration.name),
        )

    @property
    def provenance(self) -> Provenance:
        """Takes what the archive will hold beside the results."""
        return Provenance(self.folder)

    def next_of(self, waiting: deque[Trial]) -> Trial | None:
        """The next trial to run, a search's next probe if it is one; what is done leaves the queue."""
        run = self.progress.run
        while waiting:
            facts = {each.order: each for each in self.progress.trials}
            if (trial := upcoming(waiting[0], facts, run)) is not None:
                return trial
            if sentence := search_sentence(waiting.popleft(), facts, run):
                self.watcher.say(sentence)
        return None

    def keep(self, facts: TrialFacts, calibration: Calibration | None = None) -> None:
        """Put a trial's facts on disk at once."""
        facts = replace(facts, calibration=calibration)
        at = len(self.progress.trials)
        self.progress.trials.append(facts)
        self.progress.trials[at] = self.folder.journal.append(self.progress.run, facts)
        self.watcher.trial_ends(facts)


async def execute(job: Job, watcher: Watcher) -> Outcome:
    """Run an experiment and write its folder.

    A fault or a signal after the first trial began does not raise: it is in the outcome,
    beside the results of what was measured until then.

    Raises:
        UsageError: The output folder is not empty.
        OutputError: Nothing can be written.
        EnvironmentLacks: The run could not begin.
    """
    folder = _open_folder(job)
    progress = _Progress(_begin(job), list(job.trials), list(job.earlier.trials if job.earlier else ()))
    folder.write(RUN, _begun(job, progress.run))
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, signals, progress, nursery.cancel_scope, watcher)
            await _run_guarded(job, progress, folder, watcher)
            nursery.cancel_scope.cancel()
        if progress.error and not progress.trials:
            raise progress.error
        return _conclude(job, progress, folder)


def _open_folder(job: Job) -> RunFolder:
    if job.earlier:
        folder = RunFolder(job.out)
        if folder.journal.path.exists():
            folder.journal.mend(job.earlier.lines)
        return folder
    folder = make_folder(job.out)
    folder.write(SPEC, job.spec)
    return folder


async def _stop_on_signal(
    signals: Any, progress: _Progress, scope: trio.CancelScope, watcher: Watcher
) -> None:
    async for number in signals:
        if progress.signal is None:
            progress.signal = signal.Signals(number)
            watcher.say(f"{progress.signal.name}: taking everything down and writing what was measured ...")
        scope.cancel()


async def _run_guarded(job: Job, progress: _Progress, folder: RunFolder, watcher: Watcher) -> None:
    """Run all trials with a watchdog beside them; a fault of the environment becomes a fact."""
    with _noting_faults(progress), scratch_folder() as scratch:
        await trio.to_thread.run_sync(Provenance(folder).begin, job.base_dir)
        async with open_watchdog(progress.run.run_id) as guard:
            rig = _Rig(job, progress, folder, watcher, guard, scratch)
            await _run_all(job.trials, rig)
            await _run_all(_counter_experiments(rig), rig)


async def _run_all(trials: Sequence[Trial], rig: _Rig) -> None:
    """Run trials in order, those of one configuration that follow each other on one stack."""
    for _, block in groupby(trials, key=_stack_of):
        await _run_block(list(block), rig)


def _stack_of(trial: Trial) -> tuple[int, str, int]:
    """Equal for trials that share a stack."""
    alone = trial.order if trial.configuration.fresh_stack else -1
    return trial.repeat, trial.configuration.name, alone


def _counter_experiments(rig: _Rig) -> tuple[Trial, ...]:
    """What is to be run again with one change, to confirm or refute the verdicts so far."""
    if not any(trial.configuration.prove for trial in rig.progress.planned):
        return ()
    found = _analyze(rig.job, rig.progress, rig.progress.run)
    trials = counter_experiments(rig.progress.planned, found)
    about = {trial.order: (trial.proves, trial.change) for trial in trials}
    rig.progress.trials = [  # an earlier part of this run may have tried to prove something else
        each
        for each in rig.progress.trials
        if each.order not in about or about[each.order] == (each.proves, each.change)
    ]
    rig.progress.planned += trials
    return trials


async def _run_block(trials: Sequence[Trial], rig: _Rig) -> None:
    """Run one configuration's trials on one stack, on a fresh one after it died.

    Raises:
        EnvironmentLacks: The stack did not come up the first time, or an engine is missing.
    """
    configuration = trials[0].configuration
    waiting = deque(trials)
    if rig.next_of(waiting) is None:
        return  # an earlier part of this run has done them all
    calibrations = await _calibrate(trials, rig) if rig.job.calibrate else {}
    ever_up = False
    while (trial := rig.next_of(waiting)) is not None:
        up = False
        try:
            rig.watcher.say(f"{configuration.name}: bringing the {configuration.topology.kind} stack up")
            opener = OPENERS[configuration.topology.kind]
            async with opener(configuration.topology, rig.context(configuration)) as stack:
                up = ever_up = True
                while trial is not None and stack.broken is None:
                    await _run_one(trial, stack, rig, calibrations.get(trial.configuration.load.engine))
                    trial = rig.next_of(waiting)
        except EnvironmentLacks as error:
            if up or not ever_up or trial is None:
                raise
            again = f"the stack did not come up again: {error.message}"
            rig.keep(not_started(trial, Event("stack-failed", again, log=error.details)))


async def _calibrate(trials: Sequence[Trial], rig: _Rig) -> dict[str, Calibration]:
    """Every engine of a configuration held against the null responder, before anything else runs."""
    pids: list[int] = []

    def on_spawn(pid: int) -> None:
        pids.append(pid)
        rig.guard.process(pid)

    loads = {trial.configuration.load.engine: trial.configuration.load for trial in trials}
    rates = [trial.stage.rps for trial in trials]
    try:
        return {
            engine: await calibrated(load, rates, on_spawn=on_spawn, say=rig.watcher.say)
            for engine, load in loads.items()
        }
    finally:
        for pid in pids:
            rig.guard.forget(pid)


async def _run_one(trial: Trial, stack: Stack, rig: _Rig, calibration: Calibration | None) -> None:
    """Run a trial, and rest unless it was the last one."""
    rig.watcher.trial_begins(trial, max(each.order + each.orders for each in rig.progress.planned))
    if calibration and (warning := above_ceiling(trial.stage.rps, calibration)):
        rig.watcher.say(f"{trial.stage.name}: {warning}")
    own = at_rate(calibration, trial.stage.rps) if calibration else None
    await run_trial(
        trial,
        stack,
        ENGINES[trial.configuration.load.engine],
        guard=rig.guard,
        watcher=rig.watcher,
        on_facts=lambda facts: rig.keep(facts, own),
        keep=partial(rig.provenance.rendered, trial.configuration.name),
    )
    if trial is not rig.progress.planned[-1]:
        await trio.sleep(trial.configuration.cooldown)


@contextmanager
def _noting_faults(progress: _Progress) -> Iterator[None]:
    """Keep a `LoadproofError` for the outcome; trio's nurseries hand it over in groups."""
    try:
        yield
    except LoadproofError as error:
        progress.error = error
    except BaseExceptionGroup as group:
        faults, rest = group.split(LoadproofError)
        if faults is None:
            raise
        progress.error = _first(faults)
        if rest is not None:
            raise rest from None


def _first(group: BaseExceptionGroup[Any]) -> LoadproofError:
    inner = group.exceptions[0]
    if isinstance(inner, BaseExceptionGroup):
        return _first(inner)
    assert isinstance(inner, LoadproofError)
    return inner


def _begin(job: Job) -> RunFacts:
    started = datetime.now(UTC)
    now = started.isoformat(timespec="seconds")
    run = RunFacts(
        run_id=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        started_at=now,
        finished_at=None,
        command=job.command,
        overrides=job.overrides,
        status="complete",
        signal=None,
        environment=environment(),
    )
    if job.earlier is None:
        return run
    begun = job.earlier.begun.run
    return replace(run, started_at=begun.started_at, resumed_at=(*begun.resumed_at, now))


def _begun(job: Job, run: RunFacts) -> bytes:
    return Begun(
        run=run,
        base_dir=relative(job.base_dir, job.out),
        configurations=job.configurations,
        stages=job.stages,
        authorized=job.authorized,
        calibrate=job.calibrate,
    ).as_json()


def _conclude(job: Job, progress: _Progress, folder: RunFolder) -> Outcome:
    """Turn facts into results and a report, and write both."""
    early = progress.signal is not None or progress.error is not None
    run = replace(
        progress.run,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        status="aborted" if early else "complete",
        signal=progress.signal.name if progress.signal else None,
        error=progress.error.message if progress.error else None,
    )
    results = _analyze(job, progress, run)
    try:
        _write(folder, results)
        folder.write(RUN, _begun(job, run))
        Provenance(folder).end()
        archive = archive_folder(folder.path) if progress.trials else None
    except OutputError as error:
        folder = rescue_folder()
        _write(folder, results)
        said = f"{(progress.error or error).message}; the results are in {folder.path} instead"
        progress.error = OutputError(said, hint=error.hint)
        archive = None
    return Outcome(results, folder.path, archive, progress.signal, progress.error)


def _analyze(job: Job, progress: _Progress, run: RunFacts) -> dict[str, Any]:
    return analyze(
        job.experiment,
        spec_sha256=job.spec_sha256,
        run=run,
        trials=progress.trials,
        planned=progress.planned,
    )


def _write(folder: RunFolder, results: dict[str, Any]) -> None:
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    folder.write(RESULTS, text.encode())
    for name, content in rendered(results).items():
        folder.write(name, content)
