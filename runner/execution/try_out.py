"""What `runner try` does: starts each system, sends each scenario or request once, and shows what came back.

No load is offered, and nothing is measured or written. The process that sends uses the code of the
generator, so what passes here passes under load.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, Protocol

import trio

from runner.core.errors import Interrupted, StackFailed
from runner.core.status_advice import SERVER_ERROR
from runner.core.units import Seconds
from runner.execution.attempts import Attempt, attempts_of
from runner.execution.context import RunContext, RunState
from runner.execution.faults import cancel_on_signal, noting_faults
from runner.execution.inputs import RunInputs
from runner.execution.job import Job, Watcher
from runner.execution.pipeline import open_stack, run_facts
from runner.execution.preflight import new_lines
from runner.execution.preflight_failure import PATIENCE_S
from runner.execution.run_agents import RunAgents
from runner.execution.run_inputs import inputs_of
from runner.execution.signals import receive_signals, until_signal
from runner.execution.try_result import TriedRequest, tried_request
from runner.experiment.hooks import Phase
from runner.experiment.model import Stage
from runner.load.engine import LoadOrder
from runner.load.try_records import Entered, Exchanged, TryRecord
from runner.load.try_user import try_processes, try_user
from runner.stack.protocols import Stack
from runner.stack.watchdog import open_watchdog
from runner.store.run_folder import RunFolder, rescue_folder, scratch_folder

_ONE_USER: Final = Stage(users_per_s=10, duration=0.1, name="try")
_DIES_WITHIN_S: Final = 1.0
_WRITES_WITHIN_S: Final = 0.3
_LOGS: Final = "logs"


class TryWatcher(Watcher, Protocol):
    """Receives what happens, as it happens."""

    def attempt_begins(self, attempt: Attempt) -> None:
        """Handle the start of a scenario or request."""

    def step_begins(self, text: str) -> None:
        """Handle the start of a step other than a request."""

    def request_ends(self, request: TriedRequest) -> None:
        """Handle a request that passed or failed."""

    def attempt_ends(self, failed: bool, app_output: Sequence[str]) -> None:
        """Handle the end of a scenario or request; the app's new output if it failed."""


@dataclass(slots=True)
class Tried:
    """How it ended.

    Attributes:
        passed: The scenarios and requests that passed.
        failed: Those that failed.
        reached: Configuration and scenario to the indices of the requests that were sent.
        logs: Folder with the output of the systems, if something failed; None without output.
    """

    passed: list[Attempt] = field(default_factory=list)
    failed: list[Attempt] = field(default_factory=list)
    reached: defaultdict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    logs: Path | None = None

    @property
    def unreached(self) -> tuple[str, ...]:
        """Names of the steps that no user came to, although no step failed: ``buy/rate``."""
        passed = {(attempt.configuration.name, attempt.name): attempt for attempt in self.passed}
        failed = {(attempt.configuration.name, attempt.name) for attempt in self.failed}
        return tuple(
            part.name
            for key, attempt in passed.items()
            if key not in failed
            for index, part in enumerate(attempt.load.parts)
            if index not in self.reached[key]
        )


async def try_out(job: Job, only: Sequence[str], *, pauses: bool, watcher: TryWatcher) -> Tried:
    """Send each scenario, or each request of a load without scenarios, once.

    Args:
        job: Which configurations to try.
        only: Names of scenarios or requests to try; empty for all.
        pauses: Whether users wait in pauses.
        watcher: Receives what happens.

    Raises:
        UsageError: There is no scenario or request of a name in `only`.
        EnvironmentLacks: A system did not start or did not survive, or a hook failed.
        Interrupted: A signal came; everything that was started is removed.
    """
    attempts = attempts_of(job.trials, only)
    run = run_facts(job)
    inputs = await until_signal(lambda: inputs_of(job, run.run_id))
    state, tried = RunState(run, list(job.trials)), Tried()
    with scratch_folder() as scratch, receive_signals() as signals:
        tries = _Tries(job, state, scratch, watcher, inputs, tried, pauses)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                nursery.start_soon(cancel_on_signal, signals, state, scope, watcher, "removing the stack")
                await tries.run(attempts)
            nursery.cancel_scope.cancel()
        if state.error or tried.failed:
            tried.logs = _kept_logs(scratch)
    if state.error:
        raise state.error
    if state.signal:
        raise Interrupted(state.signal)
    return tried


def _kept_logs(scratch: Path) -> Path | None:
    """Move the output of the systems and hooks to a folder that stays; None if there is none."""
    logs = [file for file in scratch.rglob("*.log") if file.is_file()]
    if not logs:
        return None
    kept = rescue_folder("loadproof-try-").path
    shutil.copytree(scratch / _LOGS, kept, dirs_exist_ok=True)
    return kept


@dataclass(slots=True)
class _Seen:
    """What was seen of an attempt."""

    attempt: Attempt
    secrets: Mapping[str, str]
    timeout: Seconds
    watcher: TryWatcher
    failure: str = ""
    status: int = 0
    parts: set[int] = field(default_factory=set)

    def add(self, record: TryRecord) -> None:
        """Pass on what happened."""
        if isinstance(record, Entered):
            self.watcher.step_begins(record.text)
        elif isinstance(record, Exchanged):
            self.status = record.status
            self.parts.add(record.part)
            self.watcher.request_ends(tried_request(record, self.attempt, self.secrets, self.timeout))
        else:
            self.failure = record.failure

    @property
    def patience_s(self) -> Seconds:
        """How long to wait for the system to die, or to write why it failed."""
        if not self.status:
            return _DIES_WITHIN_S
        return _WRITES_WITHIN_S if self.status >= SERVER_ERROR else 0.0


@dataclass(frozen=True, slots=True)
class _Tries:
    """The attempts of a command."""

    job: Job
    state: RunState
    scratch: Path
    watcher: TryWatcher
    inputs: RunInputs
    tried: Tried
    pauses: bool

    async def run(self, attempts: Sequence[Attempt]) -> None:
        """Try all; a fault becomes part of the state."""
        with noting_faults(self.state, self.inputs):
            async with (
                open_watchdog(self.state.run.run_id) as guard,
                try_processes() as workers,
                RunAgents() as agents,
            ):
                folder, scratch = RunFolder(self.scratch / _LOGS), self.scratch
                context = RunContext(
                    self.job, self.state, folder, self.watcher, guard, scratch, workers, agents, self.inputs
                )
                for _, block in groupby(attempts, key=lambda attempt: attempt.configuration.name):
                    await self._on_one_stack(list(block), context)

    async def _on_one_stack(self, attempts: Sequence[Attempt], context: RunContext) -> None:
        trial = attempts[0].trial
        async with open_stack(trial.configuration, context) as (stack, hooks):
            await hooks.before(Phase.BEFORE_TRIAL, trial)
            for attempt in attempts:
                await self._try(attempt, stack, hooks.context)

    async def _try(self, attempt: Attempt, stack: Stack, context: RunContext) -> None:
        before = await stack.app_output()
        self.watcher.attempt_begins(attempt)
        load = attempt.load.model_copy(update={"timeout": max(attempt.load.timeout, PATIENCE_S)})
        seen = _Seen(attempt, {**stack.secrets, **context.inputs.masks}, load.timeout, self.watcher)
        with context.inputs.unchanged(load):
            inputs = context.inputs.of(load)
            workers, site = context.workers, context.site
            order = LoadOrder(stack.endpoint, load, _ONE_USER, pool=workers, site=site, inputs=inputs)
            await try_user(
                order,
                seen.add,
                on_spawn=context.guard.process,
                pauses=self.pauses,
                alternative=attempt.alternative,
            )
        self.tried.reached[attempt.configuration.name, attempt.name] |= seen.parts
        (self.tried.failed if seen.failure else self.tried.passed).append(attempt)
        output: Sequence[str] = ()
        if seen.failure:
            await self._raise_if_died(stack, attempt, context, seen.patience_s)
            output = context.inputs.masked_lines(new_lines(before, await stack.app_output()))
        self.watcher.attempt_ends(bool(seen.failure), output)

    async def _raise_if_died(
        self, stack: Stack, attempt: Attempt, context: RunContext, patience_s: Seconds
    ) -> None:
        with trio.move_on_after(patience_s):
            event = context.inputs.masked_event(await stack.wait_broken())
            raise StackFailed(
                f"{event.message} after {attempt.title} was tried",
                hint="its last output is above" if event.log else "it had no output",
                details=event.log,
            )
