"""Docker Swarm: an engine of several machines, and the topology `swarm` on it.

The SDK is imported only when it is needed: it costs a fifth of a second.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import Stack, StackContext


@asynccontextmanager
async def open_swarm(topology: SwarmTopology, context: StackContext) -> AsyncIterator[Stack]:
    """Place, watch and finally remove the tasks of a stack (see `StackOpener`)."""
    from runner.stack.swarm.open import open_stack  # noqa: PLC0415  (the SDK is slow to import)

    async with open_stack(topology, context) as stack:
        yield stack
