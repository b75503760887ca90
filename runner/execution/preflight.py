"""Each request once before the load: a specification that cannot work is reported before it costs time.

The generator itself sends it and checks the response, so it passes exactly if the load's requests can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import trio
from msgspec.structs import replace

from runner.core.errors import PreflightFailed, StackFailed
from runner.core.facts import Event, LoadFacts, ResponseSample
from runner.core.status_advice import SERVER_ERROR, describe_sample, status_advice
from runner.core.units import Seconds
from runner.execution.context import RunContext
from runner.execution.sample_masking import with_masked_samples
from runner.experiment.arrivals import Numbering, numbering, of_stages
from runner.experiment.model import Load, NamedRequest, Stage
from runner.experiment.trials import Trial
from runner.load.builtin import offer
from runner.load.engine import LoadOrder
from runner.stack.protocols import Stack

_ONE_REQUEST: Final = Stage(rps=10, duration=0.1, name="preflight")
_PATIENCE_S: Final[Seconds] = 10.0
"""A service may respond to its first request more slowly: what it sends is checked, not how fast it is."""
_DIES_WITHIN_S: Final[Seconds] = 1.0
_SKIP: Final = "--no-preflight runs the load anyway"
_NO_RESPONSE: Final = {
    "connect_refused": "the connection was refused",
    "connect_timeout": "no connection was possible in time",
    "reset": "the connection was reset",
    "closed_early": "the connection was closed before the response was complete",
    "timeout": "there was no complete response within {patience_s:g} s",
    "protocol": "the response is not valid HTTP/1.1",
    "bad_header": "a header of the response is not as expect.headers says",
    "bad_body": "the body of the response is not as {body_checks} of expect says",
    "no_port": "no local port was free",
    "no_fd": "the limit of open files was reached",
}


async def preflight(stack: Stack, trial: Trial, context: RunContext) -> None:
    """Send each request of a trial's configuration once, unless this run has sent it already.

    Raises:
        PreflightFailed: The response does not pass the checks.
        StackFailed: The stack did not survive the request.
    """
    name, checked = trial.configuration.name, context.state.preflighted
    if not context.job.preflight or trial.counter_experiment_for is not None or name in checked:
        return
    checked.add(name)
    load, stages = trial.configuration.load, trial.configuration.stages
    after = numbering(load, list(of_stages(load, stages, context.job.experiment.repeats)))
    for index, single in enumerate(_single_loads(load)):
        await _check(stack, single, context, _later(after, index))


def _single_loads(load: Load) -> Iterator[Load]:
    """Yield a load for each request of a mix."""
    for part in load.parts:
        yield load.model_copy(update={"request": part, "expect": part.criteria, "requests": ()})


def _later(first: Numbering, count: int) -> Numbering:
    """Return the numbering some arrivals later: these requests have values that no later one repeats."""
    return Numbering(first.arrivals + count, {name: rows + count for name, rows in first.rows.items()})


async def _check(stack: Stack, load: Load, context: RunContext, first: Numbering) -> None:
    facts = await _send(stack, load, context, first)
    failures = Counter(kind for second in facts.seconds for kind in second.failures)
    if not failures or (load.engine == "k6" and "protocol" in failures):  # k6 may use HTTP/2
        return
    with trio.move_on_after(_DIES_WITHIN_S):
        raise _died(context.inputs.masked_event(await stack.wait_broken()), load)
    output = tuple(map(context.inputs.masked, await stack.app_output()))
    raise _failed(next(iter(failures)), load, facts, output)


async def _send(stack: Stack, load: Load, context: RunContext, first: Numbering) -> LoadFacts:
    pids: list[int] = []

    def on_spawn(pid: int) -> None:
        pids.append(pid)
        context.guard.process(pid)

    changes = {"workers": 1, "arrivals": "constant", "timeout": max(load.timeout, _PATIENCE_S)}
    one_address = replace(stack.endpoint, addresses=())
    inputs = context.inputs.of(load)
    order = LoadOrder(
        one_address,
        load.model_copy(update=changes),
        _ONE_REQUEST,
        pool=context.workers,
        inputs=inputs,
        numbering=first,
    )
    facts = await offer(order, on_spawn=on_spawn, on_second=lambda _: None)
    for pid in pids:
        context.guard.forget(pid)
    return with_masked_samples(facts, {**stack.secrets, **context.inputs.secrets})


def _died(event: Event, load: Load) -> StackFailed:
    return StackFailed(
        f"{event.message} after {_request(load)} was sent once before the load",
        hint=f"its last output is above; {_SKIP}" if event.log else f"it had no output; {_SKIP}",
        details=event.log,
    )


def _failed(kind: str, load: Load, facts: LoadFacts, app_output: tuple[str, ...]) -> PreflightFailed:
    sample = next((sample for second in facts.seconds for sample in second.samples), None)
    status = sample.status if sample else 0
    if kind == "bad_status":
        accepted = ", ".join(map(str, load.expect.status))
        what = f"the status is {status}, and load.expect.status accepts {accepted}"
        advice = status_advice(status, sample)
    else:
        patience_s, checks = max(load.timeout, _PATIENCE_S), " and ".join(load.expect.body_checks)
        what = _NO_RESPONSE.get(kind, kind).format(patience_s=patience_s, body_checks=checks)
        advice = "check the request and its expect in load, and the service's log"
    return PreflightFailed(
        f"{_request(load)}, sent once before the load, failed its checks: {what}",
        hint=f"{advice}; {_SKIP}",
        details=_details(sample, app_output if kind != "bad_status" or status >= SERVER_ERROR else ()),
    )


def _details(sample: ResponseSample | None, app_output: tuple[str, ...]) -> tuple[str, ...]:
    received = describe_sample(sample) if sample else ""
    quoted = ("the app's last output:", *app_output) if app_output else ()
    return (*((f"received: {received}",) if received else ()), *quoted)


def _request(load: Load) -> str:
    request = load.request
    name = request.name if isinstance(request, NamedRequest) else ""
    line = f"{request.method} {request.path}"
    return f"{line} (request {name})" if name else line
