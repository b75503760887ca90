"""Reads what the requests and the hooks of a run need, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from runner.core.facts import VariableFacts
from runner.execution.hook_scripts import read_scripts
from runner.execution.hooks import hook_requests
from runner.execution.inputs import RunInputs, read_inputs
from runner.execution.job import Job
from runner.execution.row_command import Guarded
from runner.stack.watchdog import open_watchdog


async def inputs_of(job: Job, run_id: str) -> RunInputs:
    """Return what requests need; a watchdog ends the commands of variables if this process is killed."""
    loads = [trial.configuration.load for trial in job.trials]
    topologies = [trial.configuration.topology for trial in job.trials]
    read_these = partial(
        read_inputs, loads, job.base_dir, requests=hook_requests(job.trials), topologies=topologies
    )
    if not any(variable.command for load in loads for variable in load.variables.values()):
        return await trio.to_thread.run_sync(partial(_with_scripts, read_these, job), abandon_on_cancel=True)
    async with open_watchdog(run_id) as guard:
        read = partial(read_these, guarded=Guarded(run_id, guard))
        return await trio.to_thread.run_sync(partial(_with_scripts, read, job), abandon_on_cancel=True)


def _with_scripts(read: Callable[[], RunInputs], job: Job) -> RunInputs:
    return read().with_scripts(read_scripts(job.trials, job.commands_in or Path.cwd()))


def variables_of(job: Job, inputs: RunInputs) -> dict[str, tuple[VariableFacts, ...]]:
    """Return name of each configuration with variables to where their values come from."""
    configurations = {trial.configuration.name: trial.configuration for trial in job.trials}
    return {
        name: inputs.variables(configuration.load)
        for name, configuration in configurations.items()
        if configuration.load.variables
    }
