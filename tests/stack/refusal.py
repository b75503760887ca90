"""Opens systems that do not come up, and returns why."""

from contextlib import AbstractAsyncContextManager

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import open_docker
from runner.stack.process import open_process


async def failure(spec, ctx) -> EnvironmentLacks:
    """Why processes do not come up."""
    return await _why(open_process(spec, ctx))


async def refusal(spec, ctx) -> EnvironmentLacks:
    """Why containers do not come up."""
    return await _why(open_docker(spec, ctx))


async def _why(stack: AbstractAsyncContextManager) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as raised:
        async with stack:
            pytest.fail("it came up")
    return raised.value
