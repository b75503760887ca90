"""Short programs on this host beside a stack, such as hooks: ended in time with everything that they started.

What a program leaves running when it ends by itself, such as a server in the background, runs until `close`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.units import Seconds
from runner.experiment.suggestions import did_you_mean, join_words
from runner.stack import reaper
from runner.stack.command import cannot_run, find_program, refuse_nul
from runner.stack.output import OutputTail
from runner.stack.protocols import KEPT_LINES, ProgramResult, StackContext
from runner.stack.supervised import Supervised, supervise

_GROUP: Final = "programs"
_GRACE_S: Final[Seconds] = 1.0
_ALONE_WITHIN_S: Final[Seconds] = 0.25
"""A program that left nothing running is forgotten at once if its parent ends within this time."""


@dataclass(frozen=True, slots=True)
class _Started:
    """A program below a parent of its own, and what it writes."""

    process: Supervised
    output: OutputTail
    roots: Mapping[int, int]


@dataclass(slots=True)
class Programs:
    """Runs programs where the commands of a stack run, guarded by the watchdog.

    Attributes:
        ctx: Provides the run's id, the watchdog, and where programs start by default.
    """

    ctx: StackContext
    _left: list[_Started] = field(default_factory=list)

    async def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        within: Seconds,
        secrets: Mapping[str, str],
        folder: Path | None = None,
        where: str = "",
    ) -> ProgramResult:
        """Run a program and wait for its end.

        Args:
            argv: Program and arguments; the program is looked up as a shell would.
            env: Its environment variables.
            within: How long it may take; it is ended then, with everything that it started.
            secrets: Name to value of what is masked in its output, besides the secrets of requests.
            folder: Where it starts; None for where the context says.
            where: The key in the specification that begins messages about it.

        Raises:
            EnvironmentLacks: There is no such program, or it cannot be run.
            TimeoutError: It took too long; its output so far is the exception's args.
        """
        started = await self._start(argv, env, secrets, folder or self.ctx.commands_in, where)
        status: int | None = None
        try:
            with trio.move_on_after(within):
                status = await started.process.wait()
        finally:
            if status is None:
                await self._end(started)
            output = started.output.lines(KEPT_LINES)
            if status is None:
                started.output.close()
        if status is None:
            raise TimeoutError(*output)
        await self._settle(started)
        return ProgramResult(status, output)

    async def close(self) -> None:
        """End what programs left running; shielded from cancellation, and never raises."""
        with trio.CancelScope(shield=True):
            while self._left:
                started = self._left.pop()
                await self._end(started)
                started.output.close()

    async def _start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        secrets: Mapping[str, str],
        folder: Path | None,
        where: str,
    ) -> _Started:
        environment = {**env, reaper.COOKIE: self.ctx.run_id}
        path = environment.get("PATH", os.defpath)
        program = find_program(argv[0], path, folder, where)
        refuse_nul(argv, environment, where)
        output = OutputTail(secrets={**secrets, **self.ctx.request_secrets})
        try:
            words = (program, *argv[1:])
            process = await supervise(
                words, environment, self.ctx, name=_GROUP, output_fd=output.write_fd, folder=folder
            )
        except BaseException as error:
            output.close()
            if isinstance(error, OSError):
                raise cannot_run(argv[0], error.errno or 0, where) from error
            raise
        output.close_write_end()
        parent = reaper.live_start_ticks(process.parent.pid)
        roots = {process.pid: process.started} | ({process.parent.pid: parent} if parent else {})
        return _Started(process, output, roots)

    async def _settle(self, started: _Started) -> None:
        """Forget a program that left nothing running, else keep it for `close`."""
        self._left.append(started)
        with trio.move_on_after(_ALONE_WITHIN_S):
            await started.process.close()
            self._left.remove(started)
            self._forget(started)
            started.output.close()

    async def _end(self, started: _Started) -> None:
        """End a program and everything that it started, however far it is from it."""
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_end_processes, started.roots)
            with trio.move_on_after(_GRACE_S):
                await started.process.close()
            self._forget(started)

    def _forget(self, started: _Started) -> None:
        self.ctx.guard.forget(started.process.pid)
        self.ctx.guard.forget(started.process.parent.pid)


def no_such_part(part: str, parts: Sequence[str]) -> EnvironmentLacks:
    """Return the error for a program that cannot run inside a part.

    Args:
        part: Its name.
        parts: Those that there are.
    """
    if not parts:
        hint = "remove `in`: the command then runs on this host"
        return EnvironmentLacks(f"this stack has no part '{part}', because the run started none", hint=hint)
    hint = did_you_mean(part, parts) or f"parts are {join_words(parts, 'and')}"
    return EnvironmentLacks(f"this stack has no part '{part}'", hint=hint)


def _end_processes(roots: Mapping[int, int]) -> bool:
    return reaper.end(None, roots, grace_s=_GRACE_S)
