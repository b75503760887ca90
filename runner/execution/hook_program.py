"""Runs the command of a hook, on this host or inside a part of the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.rows import text_of
from runner.core.template import Position, filled
from runner.execution.hook_end import HookEnd
from runner.experiment.hooks import Hook
from runner.experiment.quantities import format_time
from runner.load.inputs import Constant
from runner.load.request import host_header
from runner.stack.exit_status import describe_exit
from runner.stack.programs import Programs
from runner.stack.protocols import ProgramResult, Stack

URL: Final = "LOADPROOF_URL"
"""Environment variable with the base URL that the load goes to, of commands on this host."""


async def run_program(
    hook: Hook, values: Mapping[str, Constant], stack: Stack, programs: Programs
) -> HookEnd:
    """Run a command and wait for its end.

    Args:
        hook: One with a command.
        values: Name to value of what its texts insert.
        stack: What it may run inside.
        programs: Runs it on this host.
    """
    try:
        result = await _run(hook, values, stack, programs)
    except TimeoutError as error:
        reason = f"it did not end within {format_time(hook.within)}, and was ended with all that it started"
        return HookEnd(reason, "set `within` to the time that it needs", tuple(map(str, error.args)))
    except EnvironmentLacks as error:
        return HookEnd(error.message, error.hint, error.details)
    return HookEnd(f"it {describe_exit(result.status)}" if result.status else "", lines=result.output)


async def _run(hook: Hook, values: Mapping[str, Constant], stack: Stack, programs: Programs) -> ProgramResult:
    texts = {name: text_of(value) for name, value in values.items()}
    argv = [filled(word, Position.BODY, texts) for word in hook.run or ()]
    env = {name: filled(value, Position.BODY, texts) for name, value in hook.env.items()}
    if hook.part:
        return await stack.run_inside(hook.part, argv, env=env, within=hook.within)
    environment = {**os.environ, URL: base_url(stack.endpoint), **env}
    return await programs.run(argv, environment, within=hook.within, secrets=stack.secrets)


def base_url(endpoint: Endpoint) -> str:
    """Return the URL that the load goes to, without a path of a request."""
    return f"{endpoint.scheme}://{host_header(endpoint)}{endpoint.base_path}"
