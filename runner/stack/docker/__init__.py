"""Topology `docker`: replicas in containers, behind nginx, on this machine's engine.

The SDK is imported only when a stack is opened: it costs a fifth of a second, and most
commands never talk to an engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runner.experiment.model import DockerTopology
from runner.stack.protocols import Stack, StackContext


@asynccontextmanager
async def open_docker(topology: DockerTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Build, start and finally remove a stack of containers (see `StackOpener`)."""
    from runner.stack.docker.open import open_stack  # noqa: PLC0415  (the SDK is slow to import)

    async with open_stack(topology, context) as stack:
        yield stack
