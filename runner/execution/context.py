"""The state of a run, and what every step of it works with."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from runner.analyze.results import results as analyze
from runner.analyze.results import search_sentence, upcoming
from runner.archive.provenance import Provenance
from runner.core.calibration_facts import Calibration
from runner.core.errors import LoadproofError
from runner.core.facts import HookFacts, RunFacts, TrialFacts
from runner.core.results import Results
from runner.execution.inputs import NO_RUN_INPUTS, RunInputs
from runner.execution.job import Job, Watcher
from runner.execution.patience import Patience
from runner.experiment.model import Configuration
from runner.experiment.trials import Trial
from runner.load.site import WorkerSource
from runner.stack.protocols import Guard, StackContext
from runner.store.run_folder import RunFolder

if TYPE_CHECKING:  # runs on one machine need none of them
    from runner.cluster.client import Cluster
    from runner.cluster.placement import Placer
    from runner.execution.run_agents import RunAgents
    from runner.load.nodes import GeneratorNodes
    from runner.stack.swarm.preparation import PreparedStack

_KEPT_HOOKS: Final = 2000
"""How many hooks have facts: the last ones."""


@dataclass(slots=True)
class RunState:
    """What is known so far; it grows until the run ends, in whatever way.

    Attributes:
        run: The facts about the run itself.
        planned: The trials of the job and its counter-experiments.
        trials: The facts of the trials that ended.
        signal: The signal that ends the run.
        error: The fault that ends the run.
        preflighted: Names of the configurations whose request was sent once before the load.
        hooks: The facts of the hooks that ran.
        patience: How long tear-down hooks may take.
        not_pulled: Images that could not be pulled and have a stand-in.
    """

    run: RunFacts
    planned: list[Trial]
    trials: list[TrialFacts] = field(default_factory=list)
    signal: signal.Signals | None = None
    error: LoadproofError | None = None
    preflighted: set[str] = field(default_factory=set)
    hooks: deque[HookFacts] = field(default_factory=lambda: deque(maxlen=_KEPT_HOOKS))
    patience: Patience = field(default_factory=Patience)
    not_pulled: set[str] = field(default_factory=set)

    def analyze(self, job: Job, run: RunFacts | None = None) -> Results:
        """Return the results of the trials so far; `run` replaces the facts about the run."""
        return analyze(
            job.experiment,
            spec_sha256=job.spec_sha256,
            run=run or self.run,
            trials=self.trials,
            planned=self.planned,
        )


@dataclass(frozen=True, slots=True)
class RunContext:
    """What every step of a run works with."""

    job: Job
    state: RunState
    folder: RunFolder
    watcher: Watcher
    guard: Guard
    scratch: Path
    workers: WorkerSource
    agents: RunAgents
    inputs: RunInputs = NO_RUN_INPUTS
    cluster: Cluster | None = None
    placer: Placer | None = None
    prepared: PreparedStack | None = None
    site: GeneratorNodes | None = None

    def stack_context(self, configuration: Configuration) -> StackContext:
        """Return what the opener of a configuration's stack needs."""
        return StackContext(
            run_id=self.state.run.run_id,
            name=configuration.name,
            base_dir=self.job.base_dir,
            scratch=self.scratch,
            guard=self.guard,
            say=lambda line: self.watcher.say(self.inputs.masked(line)),
            allow_hosts=configuration.load.allow_hosts,
            authorized=self.job.authorized,
            commands_in=self.job.commands_in,
            keep_rendered=partial(self.provenance.rendered, configuration.name),
            keep_log=partial(self._keep_log, configuration.name),
            request_secrets=self.inputs.secrets,
            cluster=self.cluster,
            placer=self.placer,
            prepared=self.prepared,
            not_pulled=self.state.not_pulled,
        )

    def _keep_log(self, configuration: str, name: str, content: bytes) -> None:
        """Keep the output of a part of a stack; it may contain secrets of requests that it received."""
        self.provenance.log(configuration, name, self.inputs.masked_log(content))

    def keep_hook(self, facts: HookFacts, lines: Sequence[str]) -> None:
        """Keep the facts of a hook and its output, which is masked, behind that of its earlier runs."""
        self.state.hooks.append(facts)
        name = f"hooks-{facts.phase}-{facts.number}"
        when = "" if facts.trial is None else f" before trial {facts.trial + 1}"
        result = f"{facts.status}{f': {facts.reason}' if facts.reason else ''}"
        heading = f"--- {facts.what}{when}: {result}, {facts.seconds:.3f} s"
        content = "".join(f"{line}\n" for line in (heading, *lines)).encode()
        self.provenance.append_to_log(facts.configuration, name, content)

    @property
    def provenance(self) -> Provenance:
        """Collects what the archive contains beside the results."""
        return Provenance(self.folder)

    def next_trial(self, queue: deque[Trial]) -> Trial | None:
        """Return the next trial to run, which may be a probe of a search; completed ones leave the queue."""
        run = self.state.run
        while queue:
            facts = {trial.order: trial for trial in self.state.trials}
            if (trial := upcoming(queue[0], facts, run, self.watcher.search_goes_on)) is not None:
                return trial
            if sentence := search_sentence(queue.popleft(), facts, run):
                self.watcher.say(sentence)
        return None

    def is_given_up(self, trial: Trial) -> bool:
        """Return whether a trial is a block of a counter-experiment whose stack did not start before."""
        return trial.counter_experiment_for is not None and any(
            (facts.proves, facts.change) == (trial.counter_experiment_for, trial.change)
            and facts.status == "failed"
            and facts.load is None
            for facts in self.state.trials
        )

    def keep(self, facts: TrialFacts, calibration: Calibration | None = None) -> None:
        """Append a trial's facts to the journal at once; a full disk leaves them in the state."""
        facts = replace(facts, calibration=calibration)
        index = len(self.state.trials)
        self.state.trials.append(facts)
        self.state.trials[index] = self.folder.journal.append(self.state.run, facts)
        self.watcher.trial_ends(facts)
