"""Why a command does not serve, from what can be seen of it: its sockets, its last words, its end."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

from runner.core.errors import StackFailed
from runner.core.facts import Event, Role
from runner.stack import reaper
from runner.stack.command import Command, oom_kills
from runner.stack.ports import LOOPBACK, holders, listeners

_IN_USE: Final = ("address already in use", "eaddrinuse", "address in use", "port is already")
_REACHABLE: Final = frozenset({LOOPBACK, "0.0.0.0", "::"})  # noqa: S104  (what others listen on)


def advice(command: Command, status: int | None, error: StackFailed) -> str:
    """What to do about a command that did not come up.

    Args:
        command: The command.
        status: Its return code, None while it runs.
        error: What was seen from outside.
    """
    printed = "\n".join(error.details).lower()
    if any(words in printed for words in _IN_USE):
        return f"port {command.port} seems to be in use{by_whom(command.port)}: end that, or use another port"
    if status == 0:
        return "it has to stay in the foreground"
    if status is not None:
        return "" if error.details else "it printed nothing; try the command in a shell"
    return _misplaced(command) or error.hint


def stranger(command: Command) -> str | None:
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


def by_whom(port: int) -> str:
    """Such as `` by nginx (pid 12)``, or nothing when nobody is seen to hold the port."""
    found = holders(port)
    return f" by {found[0].owner}" if found else ""


def named(command: Command) -> str:
    """Such as ``the app (my-server)``."""
    program = Path(command.argv[0]).name
    return f"the {command.name} ({program})" if program != command.name else program


def death_event(command: Command) -> Event:
    """How a command ended, for the report."""
    log = command.output.lines()
    what = f"{named(command)} {command.death()}"
    if command.process.returncode == -signal.SIGKILL and oom_kills() > command.oom_kills:
        return Event("out-of-memory", f"{what} while this host was out of memory", log=log)
    return Event("app-died" if command.role is Role.APP else "stack-failed", what, log=log)


def _misplaced(command: Command) -> str:
    """Where a running command listens, if load sent to it would not arrive."""
    heard = listeners(_kin(command))
    there = [listener for listener in heard if listener.port == command.port]
    if heard and not there:
        places = ", ".join(sorted(map(str, heard)))
        return f"it listens on {places} instead of {LOOPBACK}:{command.port}; does it use {{port}}?"
    if there and not any(listener.address in _REACHABLE for listener in there):
        return f"it listens on {there[0]} only; let it listen on {LOOPBACK}"
    return ""


def _kin(command: Command) -> list[int]:
    return [process.pid for process in reaper.belongings(None, {command.pid: command.started})]
