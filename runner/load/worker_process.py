"""Processes of the built-in engine: started light, spoken to in lines of JSON, ended in bounded time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import trio

_LEAVES_WITHIN_S: Final = 0.5


@dataclass(slots=True)
class Child:
    """One process that runs a module of this package."""

    process: trio.Process
    rest: bytes = b""

    async def tell(self, line: Mapping[str, object] | bytes) -> None:
        """Write a line of JSON.

        Raises:
            trio.BrokenResourceError: It has ended.
        """
        assert self.process.stdin is not None
        await self.process.stdin.send_all(
            line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
        )

    async def hear(self) -> dict[str, Any] | None:
        """Its next line; None when it has ended."""
        assert self.process.stdout is not None
        while b"\n" not in self.rest:
            chunk = await self.process.stdout.receive_some()
            if not chunk:
                return None
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


@asynccontextmanager
async def children(module: str, count: int, on_spawn: Callable[[int], None]) -> AsyncIterator[list[Child]]:
    """`count` processes in sessions of their own, all of them gone afterwards whatever happened.

    Args:
        module: What they run.
        count: How many.
        on_spawn: Told each one's pid the moment it exists.
    """
    started: list[Child] = []
    try:
        for _ in range(count):
            process = await trio.lowlevel.open_process(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            started.append(Child(process))
            on_spawn(process.pid)
        yield started
    finally:
        with trio.CancelScope(shield=True):
            await _end(started)


async def _end(started: Sequence[Child]) -> None:
    async with trio.open_nursery() as nursery:
        for child in started:
            nursery.start_soon(_end_one, child.process)


async def _end_one(process: trio.Process) -> None:
    """Let it see the end of its input, and kill it when it does not go."""
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.aclose()
    with trio.move_on_after(_LEAVES_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    await process.stdout.aclose()
