"""What `runner execute` does, from top to bottom: start reading here.

Per configuration: start the stack, run the hooks of its set-up, send and check one request, calibrate the
generator, run the trials, run the hooks of its tear-down, remove the stack. Then run the counter-experiments,
analyze, and write the report. Every trial is in the journal before the next one begins.
A signal or a fault skips ahead to the last two steps.
"""

from __future__ import annotations

import gc
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import groupby

import trio
from msgspec.structs import replace

from runner.analyze.calibration import above_ceiling, at_rate
from runner.analyze.proof_plan import next_blocks
from runner.archive.provenance import Provenance
from runner.cluster.errors import HubLost
from runner.core.calibration_facts import Calibration
from runner.core.errors import EnvironmentLacks, HookFailed
from runner.core.facts import Event, RunFacts, TrialFacts
from runner.core.system_facts import ProgramIdentity
from runner.execution.calibration import calibrate_beside, raise_if_broken
from runner.execution.conclude import conclude, run_file
from runner.execution.context import RunContext, RunState
from runner.execution.faults import cancel_on_signal, noting_faults
from runner.execution.hooks import StackHooks, hook_requests, hooks_around
from runner.execution.inputs import RunInputs, files_outside
from runner.execution.job import Job, Outcome, Watcher
from runner.execution.lost_nodes import ask_again, why_not_offered
from runner.execution.nodes import agents_around, generators_for, with_nodes
from runner.execution.preflight import needs_preflight, preflight
from runner.execution.row_inputs import check_row_counts
from runner.execution.run_agents import RunAgents
from runner.execution.run_inputs import inputs_of, variables_of
from runner.execution.signals import receive_signals, until_signal
from runner.execution.trial import not_started, run_trial
from runner.execution.trial_context import TrialContext
from runner.experiment.hooks import Phase
from runner.experiment.model import Configuration
from runner.experiment.trials import Trial, places
from runner.load.builtin import worker_pool
from runner.load.engines import ENGINES
from runner.load.expected_rate import expected_rate
from runner.observe.environment import environment
from runner.stack.kinds import OPENERS
from runner.stack.program_identity import program_identities
from runner.stack.protocols import Stack
from runner.stack.watchdog import open_watchdog
from runner.store import chart_process
from runner.store.output_folder import claimed_folder
from runner.store.run_file import RUN
from runner.store.run_folder import SPEC, RunFolder, scratch_folder


async def execute(job: Job, watcher: Watcher) -> Outcome:
    """Run an experiment and write its folder.

    A fault or a signal after the first trial began is not raised: it is in the outcome, with the results of
    what was measured until then.

    Raises:
        UsageError: The output folder contains other files, or another run uses it.
        OutputError: Nothing can be written.
        EnvironmentLacks: The run could not begin.
        Interrupted: A signal came before the run began.
    """
    run = run_facts(job)
    inputs = await until_signal(lambda: inputs_of(job, run.run_id))
    run = replace(
        run,
        variables=variables_of(job, inputs),
        files_with_secrets=tuple(map(inputs.masked, inputs.with_secrets)),
    )
    check_row_counts(job.trials, job.experiment.repeats, inputs.data)
    gc.freeze()  # what is loaded now stays: the collector looks often, and only at what the run makes
    state = RunState(run, list(job.trials), list(job.earlier.trials if job.earlier else ()))
    state.hooks.extend(run.hooks)
    with _open_folder(job) as folder, receive_signals() as signals:
        folder.write(RUN, run_file(job, state.run))
        watcher.run_begins(job, state.run)
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                on_signal = partial(cancel_on_signal, prepare=chart_process.prepare)
                nursery.start_soon(on_signal, signals, state, scope, watcher)
                await _run_guarded(job, state, folder, watcher, inputs)
            nursery.cancel_scope.cancel()
        try:
            return _end(job, state, folder, watcher)
        finally:
            chart_process.discard()


def _end(job: Job, state: RunState, folder: RunFolder, watcher: Watcher) -> Outcome:
    """Return the outcome of a run; raise the fault that ended it if nothing was measured until then."""
    if state.error and not state.trials:
        watcher.run_ends("failed", state.error.whole)
        raise state.error
    watcher.load_ends()
    outcome = conclude(job, state, folder)
    reason = outcome.error.whole if outcome.error else outcome.signal.name if outcome.signal else ""
    watcher.run_ends(outcome.results.run.status, reason)
    return outcome


@contextmanager
def _open_folder(job: Job) -> Iterator[RunFolder]:
    with claimed_folder(job.out, resumed=job.earlier is not None) as folder:
        if job.earlier is None:
            folder.write(SPEC, job.spec)
        elif folder.journal.path.exists():
            folder.journal.mend(job.earlier.lines)
        yield folder


def run_facts(job: Job) -> RunFacts:
    """Return the facts about a run that begins now."""
    started = datetime.now(UTC)
    now = started.isoformat(timespec="seconds")
    run = RunFacts(
        run_id=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}",
        started_at=now,
        finished_at=None,
        command=job.command,
        overrides=job.overrides,
        status="unfinished",
        signal=None,
        environment=environment(),
        files_outside=files_outside(
            (trial.configuration.load for trial in job.trials), job.base_dir, hook_requests(job.trials)
        ),
    )
    if job.earlier is None:
        return run
    earlier = job.earlier.run_file.run
    resumed_at = (*earlier.resumed_at, now)
    return replace(run, started_at=earlier.started_at, resumed_at=resumed_at, hooks=earlier.hooks)


async def _run_guarded(
    job: Job, state: RunState, folder: RunFolder, watcher: Watcher, inputs: RunInputs
) -> None:
    """Run all trials beside a watchdog, which removes what this process started should it be killed."""
    with noting_faults(state, inputs), scratch_folder() as scratch:
        await trio.to_thread.run_sync(
            Provenance(folder).begin,
            job.base_dir,
            inputs.files,
            list(inputs.data.values()),
            inputs.with_secrets,
            inputs.scripts,
        )
        async with (
            open_watchdog(state.run.run_id) as guard,
            worker_pool() as workers,
            RunAgents() as agents,
        ):
            context = RunContext(job, state, folder, watcher, guard, scratch, workers, agents, inputs)
            await _run_all(job.trials, context)
            while blocks := _plan_counter_experiments(context):
                await _run_all(blocks, context)


async def _run_all(trials: Sequence[Trial], context: RunContext) -> None:
    """Run trials in order; consecutive trials of one configuration share a stack."""
    for _, block in groupby(trials, key=_stack_of):
        await _run_block([trial for trial in block if not context.is_given_up(trial)], context)


def _stack_of(trial: Trial) -> tuple[int, str, int]:
    """Return a key that is equal for trials that share a stack."""
    alone = trial.order if trial.configuration.fresh_stack else -1
    return trial.repeat, trial.stack or trial.configuration.name, alone


async def _run_block(trials: Sequence[Trial], context: RunContext) -> None:
    """Run one configuration's trials on one stack, and on a new one after it died.

    Raises:
        EnvironmentLacks: The stack did not start the first time or failed at once, the first response did not
            pass its checks, a hook failed, or an engine is missing; not for a block of a counter-experiment.
    """
    queue = deque(trials)
    if context.next_trial(queue) is None:
        return  # an earlier part of this run completed them all
    configuration = trials[0].configuration
    calibrations: dict[str, Calibration] | None = None
    ever_up = False
    while (trial := context.next_trial(queue)) is not None:
        up = False
        try:
            async with open_stack(configuration, context) as (stack, hooks):
                if calibrations is None:
                    if needs_preflight(trial, context):
                        await hooks.before_preflight(trial)
                        await preflight(stack, trial, hooks.context)
                    calibrations = await calibrate_beside(stack, trials, hooks.context)
                raise_if_broken(stack)
                programs = await trio.to_thread.run_sync(program_identities, stack.subjects)
                up = ever_up = True
                while trial is not None and stack.broken is None:
                    await hooks.before(Phase.BEFORE_TRIAL, trial)
                    own = calibrations.get(trial.configuration.load.engine)
                    await _run_one(trial, stack, hooks.context, own, programs)
                    trial = context.next_trial(queue)
        except EnvironmentLacks as error:
            if trial is None or not _can_go_on(error, trial, up=up, ever_up=ever_up):
                raise
            message = f"the stack did not start{' again' if ever_up else ''}: {error.message}"
            context.keep(not_started(trial, Event("stack-failed", message, log=error.details)))


@asynccontextmanager
async def open_stack(
    configuration: Configuration, context: RunContext
) -> AsyncIterator[tuple[Stack, StackHooks]]:
    """Provide a configuration's stack after its set-up hooks, with the agents that it needs on nodes."""
    await trio.lowlevel.checkpoint()  # a run may have been told to end while its last stack was removed
    context.watcher.say(f"{configuration.name}: starting the {configuration.topology.kind} stack")
    opener = OPENERS[configuration.topology.kind]
    async with (
        agents_around(configuration, context) as inside,
        opener(configuration.topology, inside.stack_context(configuration)) as stack,
        generators_for(stack, configuration, inside) as ready,
        hooks_around(stack, configuration, ready) as hooks,
    ):
        yield stack, hooks


def _can_go_on(error: EnvironmentLacks, trial: Trial, *, up: bool, ever_up: bool) -> bool:
    """Return whether only this trial fails: the stack did not start again, or it only tests a verdict."""
    if trial.counter_experiment_for is not None:
        return not up or isinstance(error, HookFailed)
    return ever_up and not up and not isinstance(error, HookFailed)


async def _run_one(
    trial: Trial,
    stack: Stack,
    context: RunContext,
    calibration: Calibration | None,
    programs: Mapping[str, ProgramIdentity],
) -> None:
    """Run a trial, and cool down unless it was the last one."""
    planned = context.state.planned
    context.watcher.trial_begins(trial, places(planned))
    rate = expected_rate(trial.configuration.load, trial.stage)
    if calibration and (warning := above_ceiling(rate, calibration)):
        context.watcher.say(f"{trial.stage.name}: {warning}")
    own = at_rate(calibration, rate) if calibration else None
    if context.cluster and context.cluster.hub_lost:  # nothing is kept, so that a resumed run does it
        raise HubLost(context.cluster.hub_lost)
    if context.site and context.cluster:
        await ask_again(context.site, context.cluster, context.watcher.say)
    if context.site and (reason := why_not_offered(context.site, rate)):
        context.keep(not_started(trial, Event("generator-lost", f"the stage was not offered: {reason}")))
        return
    await run_trial(
        trial,
        stack,
        ENGINES[trial.configuration.load.engine],
        _trial_context(trial, context),
        on_facts=lambda facts: context.keep(with_nodes(_with_programs(facts, programs), context), own),
    )
    if context.cluster and context.cluster.hub_lost:
        raise HubLost(context.cluster.hub_lost)
    if trial is not planned[-1]:
        await trio.sleep(trial.configuration.cooldown)


def _trial_context(trial: Trial, context: RunContext) -> TrialContext:
    return TrialContext(
        guard=context.guard,
        watcher=context.watcher,
        pool=context.workers,
        inputs=context.inputs,
        site=context.site,
        cluster=context.cluster,
        helpers=context.job.helpers,
        keep=partial(context.provenance.rendered, trial.configuration.name),
    )


def _with_programs(facts: TrialFacts, programs: Mapping[str, ProgramIdentity]) -> TrialFacts:
    if facts.topology is None or not programs:
        return facts
    return replace(facts, topology=replace(facts.topology, programs=programs))


def _plan_counter_experiments(context: RunContext) -> tuple[Trial, ...]:
    """Return the blocks that test the verdicts so far, and add them to the plan; empty if none is left."""
    state = context.state
    if not any(trial.configuration.prove for trial in state.planned):
        return ()
    trials = next_blocks(state.planned, state.analyze(context.job))
    planned = {trial.order: (trial.counter_experiment_for, trial.change, trial.block) for trial in trials}
    state.trials = [  # an earlier part of this run may have planned other counter-experiments
        facts
        for facts in state.trials
        if facts.order not in planned or planned[facts.order] == (facts.proves, facts.change, facts.block)
    ]
    state.planned += trials
    if trials:
        context.watcher.trials_planned(trials, places(state.planned))
    return trials
