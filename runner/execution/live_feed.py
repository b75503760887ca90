"""Turns the progress of a run into the records of `runner.core.live`, for those who are not the terminal.

Each record goes to every sink. A sink that fails is left out from then on, and the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec.structs import replace

from runner.analyze.search_progress import SearchProgress
from runner.core.errors import LoadproofError
from runner.core.facts import RunFacts, TrialFacts
from runner.core.live import (
    MAX_LINE,
    MAX_REASON,
    LiveRecord,
    LoadEnds,
    Note,
    RunBegins,
    RunEnds,
    RunStatus,
    TrialBegins,
    TrialsPlanned,
    encode_live,
    shortened,
)
from runner.core.load_facts import LoadSecond
from runner.core.observed_facts import Sample, Subject
from runner.execution.job import Job, Watcher
from runner.execution.live_end import trial_end
from runner.execution.live_records import model_of, planned_trials, probe_records, second_record
from runner.execution.role_usage import RoleUsage
from runner.experiment.trial_title import change_words, trial_title
from runner.experiment.trials import Trial, places
from runner.store.live_file import own_process

LiveSink: TypeAlias = Callable[[LiveRecord], None]
"""Takes a record and returns at once; if it raises, it gets no more of them."""
_MAX_REASON: Final = 200


class LiveFeed(Watcher):
    """Gives a record of what happens to each sink, as it happens.

    Args:
        sinks: Who gets the records.
        on_lost: Called with a sentence when a sink fails.
        clock: Returns Unix time.
    """

    def __init__(
        self,
        *sinks: LiveSink,
        on_lost: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sinks = list(sinks)
        self._on_lost = on_lost
        self._clock = clock
        self._trial: Trial | None = None
        self._usage = RoleUsage()
        self._told_probes: set[int] = set()

    def run_begins(self, job: Job, run: RunFacts) -> None:
        pid, process_started, boot, namespace = own_process()
        processors = run.environment.get("cpu_count")
        beginning = RunBegins(
            job.experiment.name, run.run_id, run.started_at, pid, process_started, boot, namespace,
            planned_trials(job.trials), places(job.trials), resumed=job.earlier is not None,
            processors=processors if isinstance(processors, int) else 0,
        )  # fmt: skip
        self._tell(_fitting(beginning))
        for facts in job.earlier.trials if job.earlier else ():
            self._tell(trial_end(facts, self._clock()))

    def say(self, line: str) -> None:
        self._tell(Note(self._clock(), shortened(line)))

    def trials_planned(self, trials: Sequence[Trial], total: int) -> None:
        self._tell(TrialsPlanned(self._clock(), planned_trials(trials), total))

    def trial_begins(self, trial: Trial, total: int) -> None:
        self._trial, self._usage = trial, RoleUsage()
        stage, proves = trial.stage, trial.counter_experiment_for
        self._tell(
            TrialBegins(
                self._clock(), trial.order + 1, total, trial_title(trial), trial.configuration.name,
                stage.name, stage.warmup, stage.duration, model_of(trial), trial.repeat,
                search=trial.find is not None, change=change_words(trial), is_changed=trial.is_changed,
                proves=0 if proves is None else proves + 1,
            )
        )  # fmt: skip

    def second(self, second: LoadSecond) -> None:
        if self._trial is not None:
            self._tell(second_record(second, self._trial, self._usage, self._clock()))

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        self._usage.sample(sample, subjects)

    def trial_ends(self, facts: TrialFacts) -> None:
        self._trial = None
        self._tell(trial_end(facts, self._clock()))

    def search_goes_on(self, search: SearchProgress) -> None:
        for probe in probe_records(search, self._clock()):
            if probe.number not in self._told_probes:
                self._told_probes.add(probe.number)
                self._tell(probe)

    def load_ends(self) -> None:
        self._tell(LoadEnds(self._clock()))

    def run_ends(self, status: RunStatus, reason: str) -> None:
        self._tell(RunEnds(self._clock(), status, shortened(reason, MAX_REASON)))

    def _tell(self, record: LiveRecord) -> None:
        for sink in tuple(self._sinks):
            try:
                sink(record)
            except Exception as error:  # noqa: BLE001  (whatever it is, the run goes on without this sink)
                self._sinks.remove(sink)
                sentence = _lost(sink, error)
                self._on_lost(sentence)
                self.say(sentence)


def _lost(sink: LiveSink, error: Exception) -> str:
    reason = error.message if isinstance(error, LoadproofError) else getattr(error, "strerror", None) or error
    name = getattr(sink, "__qualname__", type(sink).__name__)
    return f"those who watch through {name} see no more of this run: {str(reason)[:_MAX_REASON]}"


def _fitting(beginning: RunBegins) -> RunBegins:
    """Return the first record with as much of the plan as fits into a line."""
    while beginning.trials and len(encode_live(beginning)) > MAX_LINE:
        beginning = replace(beginning, trials=beginning.trials[: len(beginning.trials) // 2])
    return beginning


class Watchers(Watcher):
    """Several watchers of one run.

    Args:
        watchers: Each is told everything, in this order.
    """

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def run_begins(self, job: Job, run: RunFacts) -> None:
        for watcher in self._watchers:
            watcher.run_begins(job, run)

    def say(self, line: str) -> None:
        for watcher in self._watchers:
            watcher.say(line)

    def trials_planned(self, trials: Sequence[Trial], total: int) -> None:
        for watcher in self._watchers:
            watcher.trials_planned(trials, total)

    def trial_begins(self, trial: Trial, total: int) -> None:
        for watcher in self._watchers:
            watcher.trial_begins(trial, total)

    def second(self, second: LoadSecond) -> None:
        for watcher in self._watchers:
            watcher.second(second)

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        for watcher in self._watchers:
            watcher.sample(sample, subjects)

    def trial_ends(self, facts: TrialFacts) -> None:
        for watcher in self._watchers:
            watcher.trial_ends(facts)

    def search_goes_on(self, search: SearchProgress) -> None:
        for watcher in self._watchers:
            watcher.search_goes_on(search)

    def load_ends(self) -> None:
        for watcher in self._watchers:
            watcher.load_ends()

    def run_ends(self, status: RunStatus, reason: str) -> None:
        for watcher in self._watchers:
            watcher.run_ends(status, reason)
