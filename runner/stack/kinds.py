"""The specification's word for a topology, and what brings it up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from runner.stack.external import open_external
from runner.stack.process import open_process
from runner.stack.protocols import Stack, StackContext, StackOpener


@asynccontextmanager
async def _open_docker(topology: Any, context: StackContext) -> AsyncIterator[Stack]:
    """Bring containers up; only this pays for loading the Docker SDK."""
    from runner.stack.docker import open_docker  # noqa: PLC0415

    async with open_docker(topology, context) as stack:
        yield stack


OPENERS: Final[dict[str, StackOpener]] = {
    "process": open_process,
    "docker": _open_docker,
    "external": open_external,
}
