"""Runs the hooks of a configuration around its trials: `setup`, `before_trial` and `teardown`.

`setup` and `before_trial` end the run when one of them fails. `teardown` runs in any case, shielded from the
signal that ends the run, and only reports what fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

import trio

from runner.core.errors import HookFailed, StackFailed
from runner.core.facts import Event, HookFacts
from runner.core.masking import mask_lines, mask_secrets
from runner.execution.context import RunContext
from runner.execution.hook_end import HookEnd
from runner.execution.hook_program import run_program
from runner.execution.hook_request import send_hook_request
from runner.execution.inputs import masked_error
from runner.experiment.hook_addresses import unknown_address, with_addresses
from runner.experiment.hook_values import extracted_names, needed_names
from runner.experiment.hooks import Phase, PlacedHook, placed, requests_of
from runner.experiment.model import Configuration, Request
from runner.experiment.trials import Trial
from runner.experiment.variables import used
from runner.stack.programs import Programs
from runner.stack.protocols import Stack

_SHOWN_LINES: Final = 20
_MAX_TEXT: Final = 500
_ENDED: Final = HookEnd("it was ended before it was done")


@dataclass(slots=True)
class StackHooks:
    """The hooks of one stack.

    Attributes:
        context: Of the run, with the values that hooks have extracted so far.
    """

    context: RunContext
    _stack: Stack
    _configuration: Configuration
    _programs: Programs

    async def before(self, phase: Phase, trial: Trial | None = None) -> None:
        """Run the hooks of a phase before the load, in order.

        Raises:
            HookFailed: One failed; the others have not run.
            StackFailed: The stack failed meanwhile.
        """
        for hook in placed(self._configuration.hooks, phase):
            end, event = await self._beside_stack(partial(self._run, hook, trial))
            if event is not None:
                raise StackFailed(
                    f"{event.message}, while {hook.path} ran ({self._title(hook)})",
                    hint="its last output is above" if event.log else "it printed nothing",
                    details=event.log,
                )
            if end is not None and end.reason:
                raise self._failure(hook, end)

    async def before_preflight(self, trial: Trial) -> None:
        """Run the hooks of `before_trial` if the load needs a value that only they extract."""
        if extracted_names(self._configuration.hooks) & used(self._configuration.load.parts) - set(
            self.context.inputs.extracted
        ):
            await self.before(Phase.BEFORE_TRIAL, trial)

    async def tear_down(self) -> None:
        """Run the hooks of `teardown`, all of them, and end what hooks left running; never raises."""
        try:
            with self.context.state.patience.shielded():
                for hook in placed(self._configuration.hooks, Phase.TEARDOWN):
                    end = await self._run(hook, None)
                    if end.reason:
                        self._warn(self._failure(hook, end))
        finally:
            await self._programs.close()

    async def _beside_stack(
        self, run: Callable[[], Awaitable[HookEnd]]
    ) -> tuple[HookEnd | None, Event | None]:
        """Return how a hook ended, or the failure of the stack that ended it."""
        ends: list[HookEnd] = []
        events: list[Event] = []
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                events.append(await self._stack.wait_broken())
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            ends.append(await run())
            nursery.cancel_scope.cancel()
        return next(iter(ends), None), next(iter(events), None) if not ends else None

    async def _run(self, hook: PlacedHook, trial: Trial | None) -> HookEnd:
        """Run a hook, and keep its output and the facts about it, also if it is cancelled."""
        self.context.watcher.say(f"{self._configuration.name}: {hook.path}: {self._title(hook)}")
        began, end = trio.current_time(), _ENDED
        try:
            end = await self._perform(hook)
        finally:
            self._keep(hook, end, trio.current_time() - began, trial)
        return end

    async def _perform(self, hook: PlacedHook) -> HookEnd:
        inputs = self.context.inputs
        own = inputs.of_hooks(self._configuration.load)
        if missing := sorted(needed_names(hook.hook) - own.values.keys()):
            return HookEnd(f"${{{missing[0]}}} has no value, because no hook has extracted it", skipped=True)
        addresses = self._stack.addresses(hook.hook.part)
        if problem := unknown_address(hook.hook, addresses):
            return HookEnd(*problem)
        hook = hook._replace(hook=with_addresses(hook.hook, addresses))
        if hook.hook.request is None:
            return await run_program(hook.hook, own.values, self._stack, self._programs)
        from_node = self._configuration.topology.needs_load_nodes
        end = await send_hook_request(
            hook,
            own,
            self._stack.endpoint,
            self._secrets,
            cluster=self.context.cluster if from_node else None,
        )
        known = inputs.with_extracted({**inputs.extracted, **end.extracted})
        self.context = replace(self.context, inputs=known)
        return end

    @property
    def _secrets(self) -> dict[str, str]:
        return {**self._stack.secrets, **self.context.inputs.masks}

    def _title(self, hook: PlacedHook) -> str:
        return hook.hook.titled(lambda text: mask_secrets(text, self._secrets))

    def _keep(self, hook: PlacedHook, end: HookEnd, seconds: float, trial: Trial | None) -> None:
        secrets = self._secrets
        self.context.keep_hook(
            HookFacts(
                configuration=self._configuration.name,
                phase=hook.phase.value,
                number=hook.number,
                what=self._title(hook),
                seconds=round(seconds, 3),
                status=_status(end),
                reason=_shortened(mask_secrets(end.reason, secrets)),
                trial=None if trial is None else trial.order,
            ),
            mask_lines(end.lines, secrets),
        )

    def _failure(self, hook: PlacedHook, end: HookEnd) -> HookFailed:
        name = f"hooks-{hook.phase}-{hook.number}"
        where = self.context.provenance.log_folder(self._configuration.name) / f"{name}.log"
        how = "was skipped" if end.skipped else "failed"
        lines = end.lines[-_SHOWN_LINES:]
        more = (f"its whole output: {where}",) if len(end.lines) > len(lines) else ()
        return masked_error(
            HookFailed(
                f"{hook.path} ({self._title(hook)}) {how}: {end.reason}",
                hint=end.hint or ("its last lines are above" if lines else "it printed nothing"),
                details=(*lines, *more),
            ),
            self._secrets,
        )

    def _warn(self, failed: HookFailed) -> None:
        for line in (f"warning: {failed.message}", *(f"  {line}" for line in failed.details)):
            self.context.watcher.say(line)


@asynccontextmanager
async def hooks_around(
    stack: Stack, configuration: Configuration, context: RunContext
) -> AsyncIterator[StackHooks]:
    """Run `setup` on entering and `teardown` on leaving, also when `setup` fails.

    Raises:
        HookFailed: A hook of `setup` failed.
        StackFailed: The stack failed meanwhile.
    """
    hooks = StackHooks(context, stack, configuration, Programs(context.stack_context(configuration)))
    try:
        await hooks.before(Phase.SETUP)
        yield hooks
    finally:
        await hooks.tear_down()


def hook_requests(trials: Iterable[Trial]) -> tuple[Request, ...]:
    """Return the requests of the hooks around some trials."""
    configurations = {trial.configuration.name: trial.configuration for trial in trials}
    return tuple(request for one in configurations.values() for request in requests_of(one.hooks))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _status(end: HookEnd) -> Literal["done", "failed", "skipped", "ended"]:
    if end is _ENDED:
        return "ended"
    return "skipped" if end.skipped else "failed" if end.reason else "done"
