"""Calibrates the engines of a configuration while its stack is up: an early crash ends the run at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from runner.core.calibration_facts import Calibration
from runner.core.errors import StackFailed
from runner.core.facts import Event
from runner.core.units import PerSecond
from runner.execution.context import RunContext
from runner.experiment.model import Load
from runner.experiment.trials import Trial
from runner.load.calibration_cache import load_or_measure_calibration
from runner.load.calibration_load import calibration_load
from runner.load.expected_rate import expected_rate
from runner.stack.protocols import Stack

if TYPE_CHECKING:
    from runner.load.nodes import GeneratorNodes


async def calibrate_beside(
    stack: Stack, trials: Sequence[Trial], context: RunContext
) -> dict[str, Calibration]:
    """Return the calibration of every engine that the trials use, against a no-op server.

    Blocks of counter-experiments need none: they are compared with each other only.
    It ends early, and what it returns is incomplete, when the stack fails meanwhile.

    Raises:
        EnvironmentLacks: An engine or its no-op server does not start.
    """
    calibrations: dict[str, Calibration] = {}
    if context.job.calibrate and trials[0].counter_experiment_for is None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_when_broken, stack, nursery.cancel_scope)
            calibrations = await _calibrate(trials, context)
            nursery.cancel_scope.cancel()
    return calibrations


def raise_if_broken(stack: Stack) -> None:
    """Raise `StackFailed` if a stack has failed before its first trial."""
    if stack.broken is not None:
        raise _early_failure(stack.broken)


async def _cancel_when_broken(stack: Stack, scope: trio.CancelScope) -> None:
    await stack.wait_broken()
    scope.cancel()


async def _calibrate(trials: Sequence[Trial], context: RunContext) -> dict[str, Calibration]:
    pids: list[int] = []

    def on_spawn(pid: int) -> None:
        pids.append(pid)
        context.guard.process(pid)

    loads = {trial.configuration.load.engine: trial.configuration.load for trial in trials}
    rates = [rate for trial in trials if (rate := expected_rate(trial.configuration.load, trial.stage))]
    try:
        if not rates:  # users send as fast as they get responses
            return {}
        if context.site:
            return {"builtin": await _calibrate_nodes(loads["builtin"], rates, context.site, context)}
        return {
            engine: await load_or_measure_calibration(
                load, rates, files=context.inputs.files, on_spawn=on_spawn, say=context.watcher.say
            )
            for engine, load in loads.items()
        }
    finally:
        for pid in pids:
            context.guard.forget(pid)


async def _calibrate_nodes(
    load: Load, rates: Sequence[PerSecond], nodes: GeneratorNodes, context: RunContext
) -> Calibration:
    """Measure each node; nothing is kept for later runs, because other work may run on the nodes then."""
    from runner.load.node_calibration import calibrate_nodes  # noqa: PLC0415  (runs on one machine need it not)

    names, shown = ", ".join(nodes.left), ", ".join(f"{round(rate, 1):,g}" for rate in sorted(set(rates)))
    context.watcher.say(f"calibrating the builtin engine on {names} at {shown} RPS")
    return await calibrate_nodes(calibration_load(load, context.inputs.files), rates, nodes)


def _early_failure(event: Event) -> StackFailed:
    output = "its last output is above" if event.log else "it printed nothing"
    return StackFailed(
        f"{event.message}, before the first request of a stage was sent",
        hint=f"it was ready, and ended before any load; {output}",
        details=event.log,
    )
