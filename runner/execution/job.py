"""What a run is given, what it returns, and who is notified of its progress."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.analyze.search_progress import SearchProgress
from runner.core.errors import LoadproofError
from runner.core.facts import RunFacts, TrialFacts
from runner.core.live import RunStatus
from runner.core.load_facts import LoadSecond
from runner.core.observed_facts import Sample, Subject
from runner.core.results import Results
from runner.experiment.model import Experiment
from runner.experiment.trials import Trial
from runner.store.run_file import ResumePoint


class TrialWatcher(Protocol):
    """Receives the progress of a trial; its methods return at once and never raise."""

    def second(self, second: LoadSecond) -> None:
        """Handle one second of load, merged from all workers."""

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        """Handle one reading of all subjects."""


class Watcher(TrialWatcher, Protocol):
    """Receives the progress of a run; `runner.cli.progress` shows it on the terminal.

    What a watcher inherits and does not implement does nothing.
    """

    def run_begins(self, job: Job, run: RunFacts) -> None:
        """Handle the start of a run, before anything of it is started."""
        return

    def say(self, line: str) -> None:
        """Handle a message about one step, such as the start of a stack."""

    def trials_planned(self, trials: Sequence[Trial], total: int) -> None:
        """Handle counter-experiments that are added to the plan, which has that many places now."""
        return

    def trial_begins(self, trial: Trial, total: int) -> None:
        """Handle the start of a trial on a stack that is ready."""

    def trial_ends(self, facts: TrialFacts) -> None:
        """Handle the end of a trial that is in the journal."""

    def search_goes_on(self, search: SearchProgress) -> None:
        """Handle the state of a search, with all its probes so far; called before and after each of them."""
        return

    def load_ends(self) -> None:
        """Handle that all trials have ended, before they are analyzed and the report is written."""
        return

    def run_ends(self, status: RunStatus, reason: str) -> None:
        """Handle the end of a run whose results are written; `reason` is what ended it early, else empty."""
        return


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that one run needs to know.

    Attributes:
        experiment: The validated specification.
        trials: What to run, in order.
        spec: The specification, byte for byte.
        spec_sha256: Its digest.
        base_dir: The folder that relative paths in the specification start from.
        out: The folder to write to.
        command: The command line that repeats this run.
        overrides: ``path=value`` of every ``--set``.
        authorized: Whether ``--i-am-authorized`` allows load on the hosts in the specification.
        calibrate: Whether the generator is first measured against a no-op server.
        preflight: Whether the request of each configuration is sent once, and checked, before the load.
        configurations: Names that `trials` are limited to; empty for all.
        stages: Likewise.
        commands_in: Where commands start; None for the current directory.
        earlier: The state of the interrupted run in `out`; None for a new run.
        helpers: Processes that belong to the runner, such as that of the live page.
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
    preflight: bool = False
    configurations: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    commands_in: Path | None = None
    earlier: ResumePoint | None = None
    helpers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        results: The content of results.json.
        folder: Where everything was written.
        archive: All files as one; None when nothing was measured or it could not be written.
        signal: The signal that ended the run early.
        error: The fault that ended the run early.
    """

    results: Results
    folder: Path
    archive: Path | None
    signal: signal.Signals | None
    error: LoadproofError | None
