"""Topology `process`: a command of the user's, started here and ended with all its kin.

The command runs in the directory the runner was started in, as it would from a shell,
with ``{port}`` filled in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from runner.errors import EnvironmentLacks, StackFailed
from runner.facts import Endpoint, Event, Role, Subject
from runner.spec.model import App, ProcessTopology
from runner.stack import reaper
from runner.stack.command import Command, start
from runner.stack.contract import StackContext
from runner.stack.ports import LOOPBACK, free_port, holders, is_free, listeners
from runner.stack.readiness import wait_ready

_GRACE_S: Final = 3.0
_PORT_FIELD: Final = "{port}"
_IN_USE: Final = ("address already in use", "eaddrinuse", "address in use", "port is already")


@dataclass(slots=True)
class ProcessStack:
    """Processes of this host that are up; implements `runner.stack.contract.Stack`."""

    commands: tuple[Command, ...]
    endpoint: Endpoint
    description: Mapping[str, object]
    _broken: Event | None = field(default=None, init=False)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Each command with all its descendants."""
        return tuple(command.subject for command in self.commands)

    @property
    def broken(self) -> Event | None:
        """Which command died first, and its last words."""
        if self._broken is None:
            dead = next((command for command in self.commands if command.death()), None)
            self._broken = _death_event(dead) if dead else None
        return self._broken

    async def wait_broken(self) -> Event:
        """Wait until one of the commands dies."""
        async with trio.open_nursery() as nursery:
            for command in self.commands:
                nursery.start_soon(_cancel_at_death, command, nursery.cancel_scope)
        event = self.broken
        assert event is not None
        return event


@asynccontextmanager
async def open_process(topology: ProcessTopology, ctx: StackContext) -> AsyncIterator[ProcessStack]:
    """Bring the processes up, and end them and all their descendants on leaving.

    Raises:
        EnvironmentLacks: The command cannot be run, or its port is taken.
        StackFailed: It ended or did not answer its health URL in time.
    """
    app = topology.app
    commands: list[Command] = []
    try:
        for number in range(1, topology.replicas + 1):
            name = "app" if topology.replicas == 1 else f"app-{number}"
            commands.append(await _start_app(app, ctx, name))
        for command in commands:
            await _wait_up(command, app)
        yield ProcessStack(tuple(commands), Endpoint(LOOPBACK, commands[0].port), _describe(commands, app))
    finally:
        with trio.CancelScope(shield=True):
            await _take_down(commands, ctx)


async def _start_app(app: App, ctx: StackContext, name: str) -> Command:
    port = app.port or free_port()
    if app.port and not is_free(port):
        raise EnvironmentLacks(
            f"port {port} is already in use{_by_whom(port)}",
            hint='end it, or put "{port}" into the command instead of a fixed port to get a free one',
        )
    argv = [word.replace(_PORT_FIELD, str(port)) for word in app.command or ()]
    env = {key: value.replace(_PORT_FIELD, str(port)) for key, value in app.env.items()}
    return await start(argv, env, ctx, name=name, role=Role.APP, port=port)


async def _wait_up(command: Command, app: App) -> None:
    url = f"http://{LOOPBACK}:{command.port}{app.health}"
    try:
        await wait_ready(
            url,
            deadline_s=app.ready_within,
            alive=command.death,
            last_output=command.output.lines,
            name=_named(command),
        )
    except StackFailed as error:
        hint = await trio.to_thread.run_sync(_diagnose, command, command.process.returncode, error)
        raise StackFailed(error.message, hint=hint, details=error.details) from error.__cause__
    if stranger := await trio.to_thread.run_sync(_stranger, command):
        raise StackFailed(
            f"port {command.port} is answered by {stranger}, not by {_named(command)}",
            hint="end it, or use another port",
            details=command.output.lines(),
        )


def _diagnose(command: Command, status: int | None, error: StackFailed) -> str:
    """What to do about a command that did not come up."""
    printed = "\n".join(error.details).lower()
    if any(words in printed for words in _IN_USE):
        return (
            f"port {command.port} seems to be in use{_by_whom(command.port)}; end that, or use another port"
        )
    if status == 0:
        return "it has to stay in the foreground"
    if status is not None:
        return "" if error.details else "it printed nothing; try the command in a shell"
    heard = listeners(_kin(command))
    if heard and not any(listener.port == command.port for listener in heard):
        places = ", ".join(sorted(str(listener) for listener in heard))
        return f"it listens on {places} instead of {LOOPBACK}:{command.port}; does it use {{port}}?"
    if heard and not any(listener.address in {LOOPBACK, "0.0.0.0", "::"} for listener in heard):  # noqa: S104
        return f"it listens on {heard[0]} only; let it listen on {LOOPBACK}"
    return error.hint


def _stranger(command: Command) -> str | None:
    """Who holds the command's port if that is surely somebody else.

    The port was free just before the start, so only a process older than the command can
    be told to be a stranger: a younger one may be a container the command started.
    """
    if any(listener.port == command.port for listener in listeners(_kin(command))):
        return None
    for listener in holders(command.port):
        started = reaper.start_ticks(listener.pid) if listener.pid else None
        if listener.address != "::1" and started is not None and started < command.started:
            return listener.owner
    return None


def _kin(command: Command) -> list[int]:
    return [process.pid for process in reaper.belongings(None, {command.pid: command.started})]


def _by_whom(port: int) -> str:
    found = holders(port)
    return f" by {found[0].owner}" if found else ""


def _describe(commands: Sequence[Command], app: App) -> dict[str, object]:
    """What was built; values of the environment may be secrets and stay out."""
    return {
        "kind": "process",
        "command": list(commands[0].argv),
        "replicas": len(commands),
        "urls": [f"http://{LOOPBACK}:{command.port}" for command in commands],
        "health": app.health,
        "env_names": sorted(app.env),
    }


def _named(command: Command) -> str:
    return f"the {command.name} ({Path(command.argv[0]).name})"


def _death_event(command: Command) -> Event:
    return Event("app-died", f"{_named(command)} {command.death()}", log=command.output.lines())


async def _cancel_at_death(command: Command, scope: trio.CancelScope) -> None:
    await command.process.wait()
    scope.cancel()


async def _take_down(commands: Sequence[Command], ctx: StackContext) -> None:
    """End every process of this run: the groups, their descendants, and who carries the cookie."""
    roots = {command.pid: command.started for command in commands}
    await trio.to_thread.run_sync(lambda: reaper.end(ctx.run_id, roots, grace_s=_GRACE_S))
    for command in commands:
        with trio.move_on_after(1):
            await command.process.wait()
        command.output.close()
        ctx.guard.forget(command.pid)
