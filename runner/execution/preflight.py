"""Each request or scenario once before the load: a wrong specification is reported before it costs time.

The generator itself sends it and checks the response, so it passes exactly if the load's requests can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import trio
from msgspec.structs import replace

from runner.core.errors import StackFailed
from runner.core.facts import Event
from runner.core.load_facts import UNFINISHED, LoadFacts, LoadSecond
from runner.core.units import Seconds
from runner.execution.context import RunContext
from runner.execution.preflight_failure import (
    PATIENCE_S,
    SKIP,
    FailedRequest,
    preflight_failed,
    request_line,
)
from runner.execution.sample_masking import with_masked_samples
from runner.experiment.arrivals import Numbering, numbering, of_stages
from runner.experiment.model import Load, Stage
from runner.experiment.trials import Trial
from runner.experiment.variables import uses
from runner.load.builtin import offer
from runner.load.engine import LoadOrder
from runner.stack.protocols import Stack

if TYPE_CHECKING:
    from runner.experiment.scenario import Step

_ONE_REQUEST: Final = Stage(rps=10, duration=0.1, name="preflight")
_ONE_USER: Final = Stage(users_per_s=10, duration=0.1, name="preflight")
_LONGEST_PAUSE_S: Final[Seconds] = 1.0
_DIES_WITHIN_S: Final[Seconds] = 1.0


def needs_preflight(trial: Trial, context: RunContext) -> bool:
    """Return whether the requests of a trial's configuration are still to be sent once."""
    sent = trial.configuration.name in context.state.preflighted
    return context.job.preflight and trial.counter_experiment_for is None and not sent


async def preflight(stack: Stack, trial: Trial, context: RunContext) -> None:
    """Send each request of a trial's configuration once, or let one user go through each scenario.

    Raises:
        PreflightFailed: A response does not pass the checks; the error lists all such requests.
        StackFailed: The stack did not survive the request.
    """
    name = trial.configuration.name
    context.state.preflighted.add(name)
    load, stages = trial.configuration.load, trial.configuration.stages
    after = numbering(load, list(of_stages(load, stages, context.job.experiment.repeats)))
    failures = []
    used: Counter[str] = Counter()
    for index, single in enumerate(_single_loads(load)):
        first = _later(after, index, used)
        if spent := _spent_rows(single, context, first):
            what = f"the scenario {single.scenarios[0].name}" if single.scenarios else request_line(single)
            message = f"{what} is not sent before the load, because no row of {spent} is left"
            context.watcher.say(message)
        else:
            used.update(uses(single.parts).keys())
            failures.append(await _check(stack, single, context, first))
    if failed := [failure for failure in failures if failure]:
        has_log = bool(await stack.app_output())
        logs = context.provenance.log_folder(name) if has_log else None
        raise preflight_failed(failed, of=len(failures), logs=logs)


def _single_loads(load: Load) -> Iterator[Load]:
    """Yield a load for each request of a mix, or for each scenario, in which pauses are short."""
    for scenario in load.scenarios:
        short = scenario.model_copy(update={"steps": tuple(map(_with_short_pauses, scenario.steps))})
        yield load.model_copy(update={"scenarios": (short,)})
    for part in () if load.scenarios else load.parts:
        yield load.model_copy(update={"request": part, "expect": part.criteria, "requests": ()})


def _with_short_pauses(step: Step) -> Step:
    """Return a step in which no pause is longer than a second."""
    changes: dict[str, Any] = {}
    if step.pause is not None:
        changes["pause"] = tuple(min(bound, _LONGEST_PAUSE_S) for bound in step.pause)
    for key in ("steps", "otherwise"):
        if (inner := getattr(step, key)) is not None:
            changes[key] = tuple(map(_with_short_pauses, inner))
    if step.choose is not None:
        changes["choose"] = tuple(
            branch.model_copy(update={"steps": tuple(map(_with_short_pauses, branch.steps))})
            for branch in step.choose
        )
    return step.model_copy(update=changes) if changes else step


def _later(first: Numbering, arrivals: int, used: Mapping[str, int]) -> Numbering:
    """Return the numbering after some arrivals, and some rows of each variable."""
    rows = {name: row + used.get(name, 0) for name, row in first.rows.items()}
    return Numbering(first.arrivals + arrivals, rows)


def _spent_rows(load: Load, context: RunContext, first: Numbering) -> str:
    """Return the name of a variable whose rows, each of which is sent once, are needed by the load."""
    rows, used = context.inputs.of(load).rows, uses(load.parts)
    return next(
        (
            name
            for name, variable in load.variables.items()
            if name in used and variable.needs_each_row_once and first.rows[name] >= rows[name].rows
        ),
        "",
    )


async def _check(stack: Stack, load: Load, context: RunContext, first: Numbering) -> FailedRequest | None:
    before = await stack.app_output()
    with context.inputs.unchanged(load):
        facts = await _send(stack, load, context, first)
    load, seconds = _failed_step(load, facts)
    failures = Counter(kind for second in seconds for kind in second.failures)
    if not failures or (load.engine == "k6" and "protocol" in failures):  # k6 may use HTTP/2
        return None
    with trio.move_on_after(_DIES_WITHIN_S):
        raise _died(context.inputs.masked_event(await stack.wait_broken()), load)
    output = context.inputs.masked_lines(new_lines(before, await stack.app_output()))
    sample = next((sample for second in seconds for sample in second.samples), None)
    return FailedRequest(load, next(iter(failures)), sample, output)


def _failed_step(load: Load, facts: LoadFacts) -> tuple[Load, Sequence[LoadSecond]]:
    """Return a load with the step of a scenario that failed alone, and what is known of it.

    A user whose scenario takes too long before the load has not failed.
    """
    if not load.scenarios:
        return load, facts.seconds
    if any(UNFINISHED in users.failures for second in facts.seconds for users in second.scenarios.values()):
        return load, ()
    for part in load.parts:
        seconds = [second.parts[part.name] for second in facts.seconds if part.name in second.parts]
        if any(second.failures for second in seconds):
            alone = {"request": part, "expect": part.criteria, "requests": (), "scenarios": ()}
            return load.model_copy(update=alone), seconds
    return load, ()


def new_lines(before: Sequence[str], after: Sequence[str]) -> Sequence[str]:
    """Return the lines that were written meanwhile; both are the ends of the same log."""
    kept = next((n for n in range(len(before), 0, -1) if before[-n:] == after[:n]), 0)
    return after[kept:]


async def _send(stack: Stack, load: Load, context: RunContext, first: Numbering) -> LoadFacts:
    pids: list[int] = []

    def on_spawn(pid: int) -> None:
        pids.append(pid)
        context.guard.process(pid)

    changes = {"workers": 1, "arrivals": "constant", "timeout": max(load.timeout, PATIENCE_S)}
    one_address = replace(stack.endpoint, addresses=())
    inputs = context.inputs.of(load)
    order = LoadOrder(
        one_address,
        load.model_copy(update=changes),
        _ONE_USER if load.scenarios else _ONE_REQUEST,
        pool=context.workers,
        site=context.site.only(context.site.left[0]) if context.site else None,
        inputs=inputs,
        numbering=first,
    )
    facts = await offer(order, on_spawn=on_spawn, on_second=lambda _: None)
    for pid in pids:
        context.guard.forget(pid)
    return with_masked_samples(facts, {**stack.secrets, **context.inputs.masks})


def _died(event: Event, load: Load) -> StackFailed:
    return StackFailed(
        f"{event.message} after {request_line(load)} was sent once before the load",
        hint=f"its last output is above; {SKIP}" if event.log else f"it had no output; {SKIP}",
        details=event.log,
    )
