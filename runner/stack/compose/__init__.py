"""Topology `compose`: the services of the user's own compose file, as a project of this run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runner.experiment.compose_topology import ComposeTopology
from runner.stack.protocols import Stack, StackContext


@asynccontextmanager
async def open_compose(topology: ComposeTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Start and finally remove the services of a compose file (see `StackOpener`)."""
    from runner.stack.compose.open import open_stack  # noqa: PLC0415  (Docker's SDK is slow to import)

    async with open_stack(topology, context) as stack:
        yield stack
