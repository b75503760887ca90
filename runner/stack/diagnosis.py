"""Explains why a command does not serve: from its sockets, its last output and its exit status."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from runner.core.codes import Role, is_service
from runner.core.errors import StackFailed
from runner.core.facts import Event
from runner.stack import reaper
from runner.stack.command import Command, oom_kills
from runner.stack.ports import LOOPBACK, by_holder, holders, listeners

_IN_USE: Final = ("address already in use", "eaddrinuse", "address in use", "port is already")
_REACHABLE: Final = frozenset({LOOPBACK, "0.0.0.0", "::"})  # noqa: S104  (what others listen on)


def start_hint(command: Command, status: int | None, error: StackFailed) -> str:
    """Return what to do about a command that did not become ready.

    Args:
        command: The command.
        status: Its return code, None while it runs.
        error: Why it did not become ready, as far as its health URL shows.
    """
    output = "\n".join(error.details).lower()
    if any(words in output for words in _IN_USE):
        holder = by_holder(command.port)
        return f"port {command.port} seems to be in use{holder}: stop that process, or use another port"
    if status == 0:
        return "the command must stay in the foreground"
    if status is not None:
        return "" if error.details else "it printed nothing; try the command in a shell"
    return (_wrong_address(command) if command.port else "") or error.hint


def other_holder(command: Command) -> str | None:
    """Return which other process holds the command's port, None unless one surely does.

    The port was free just before the start, so only a process older than the command is
    certainly another one: a younger one may be a container that the command started.
    """
    if any(listener.port == command.port for listener in listeners(_tree(command))):
        return None
    for listener in holders(command.port):
        started = reaper.start_ticks(listener.pid) if listener.pid else None
        if listener.address != "::1" and started is not None and started < command.started:
            return listener.owner
    return None


def title(command: Command) -> str:
    """Return how messages name the command, such as ``the app (my-server)``."""
    program = Path(command.argv[0]).name
    if is_service(command.role):
        return f"the service {command.name} ({program})"
    return f"the {command.name} ({program})" if program != command.name else program


def death_event(command: Command) -> Event:
    """Return how a command ended."""
    log = command.output.lines()
    message = f"{title(command)} {command.death()}"
    if command.process.returncode == -signal.SIGKILL and oom_kills() > command.oom_kills:
        return Event("out-of-memory", f"{message} while this host was out of memory", log=log)
    return Event("app-died" if command.role == Role.APP else "stack-failed", message, log=log)


def _wrong_address(command: Command) -> str:
    """Return where a running command listens, if requests to its port would not reach it."""
    all_sockets = listeners(_tree(command))
    on_port = [listener for listener in all_sockets if listener.port == command.port]
    if all_sockets and not on_port:
        places = ", ".join(sorted(map(str, all_sockets)))
        return f"it listens on {places} instead of {LOOPBACK}:{command.port}; does it use {{port}}?"
    if on_port and not any(listener.address in _REACHABLE for listener in on_port):
        return f"it listens on {on_port[0]} only; make it listen on {LOOPBACK}"
    return ""


def _tree(command: Command) -> list[int]:
    return [process.pid for process in reaper.run_processes(None, {command.pid: command.started})]
