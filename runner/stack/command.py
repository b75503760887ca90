"""Starts a command of the specification as a process that can be watched and explained."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.facts import Role, Subject
from runner.stack.cpu_affinity import pin
from runner.stack.output import OutputTail
from runner.stack.protocols import StackContext
from runner.stack.reaper import COOKIE, start_ticks


@dataclass(frozen=True, slots=True)
class Command:
    """A process this run started, in a session and process group of its own.

    Attributes:
        name: What it is called in messages and subjects, such as ``app`` or ``app-2``.
        role: Whose CPU its CPU is.
        argv: What was started.
        port: Where it is told to listen.
        process: The process; its pid stays its own until it is waited for.
        started: Its start time in clock ticks since boot.
        output: The end of what it printed.
        oom_kills: How many processes the kernel had ended for lack of memory when it started.
    """

    name: str
    role: Role
    argv: tuple[str, ...]
    port: int
    process: trio.Process
    started: int
    output: OutputTail
    oom_kills: int

    @property
    def pid(self) -> int:
        """The process and its process group."""
        return self.process.pid

    @property
    def subject(self) -> Subject:
        """The process and all its descendants, to be watched."""
        return Subject(self.name, self.role, "tree", self.pid, self.started)

    def death(self) -> str | None:
        """How it ended, such as ``was killed by SIGKILL``; None while it lives."""
        return None if (status := self.process.returncode) is None else in_words(status)


async def start(
    argv: Sequence[str],
    env: Mapping[str, str],
    ctx: StackContext,
    *,
    name: str,
    role: Role,
    port: int,
    cpus: Sequence[int] = (),
    secrets: Mapping[str, str] | None = None,
) -> Command:
    """Start a command in the current directory, under the watchdog's eyes.

    Args:
        argv: Program and arguments; the program is looked up as a shell would.
        env: Laid over the runner's own environment.
        ctx: Gives the run's cookie and the watchdog.
        name: As in `Command`.
        role: As in `Command`.
        port: As in `Command`.
        cpus: Processors to stay on, empty for any.
        secrets: Variables that it inherits and whose values are hidden in what it prints.

    Raises:
        EnvironmentLacks: There is no such program, or it cannot be run.
    """
    environment = {**os.environ, **env, COOKIE: ctx.run_id}
    program = find_program(argv[0], environment.get("PATH", os.defpath))
    output = OutputTail(secrets=secrets)
    try:
        process = await trio.lowlevel.open_process(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output.write_fd,
            stderr=output.write_fd,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        output.close()
        raise _cannot_run(argv[0], error) from error
    if cpus:
        pin(process.pid, cpus)
    output.close_write_end()
    ctx.guard.process(process.pid)
    started = start_ticks(process.pid) or 0
    return Command(name, role, tuple(argv), port, process, started, output, oom_kills())


def find_program(name: str, path: str) -> str:
    """Where a program is: on `path`, else among the commands installed beside the runner.

    The second place makes ``app-server`` work from a virtual environment nobody activated.
    It comes last, so that ``python`` stays the user's own.

    Raises:
        EnvironmentLacks: It is nowhere, or is not executable.
    """
    beside = str(Path(sys.executable).parent)
    if found := shutil.which(name, path=os.pathsep.join([path, beside])):
        return found
    if os.sep in name and Path(name).exists():
        what = "is a folder" if Path(name).is_dir() else "is not executable"
        raise EnvironmentLacks(f"topology.app.command: {name} {what}", hint=_hint_for_file(name))
    if os.sep in name:
        raise EnvironmentLacks(
            f"topology.app.command: {name} does not exist",
            hint=f"paths in a command start from the current directory, {Path.cwd()}",
        )
    raise EnvironmentLacks(f"topology.app.command: command not found: {name}", hint=_hint_for_name(name))


def oom_kills() -> int:
    """How many processes the kernel has ended for lack of memory since boot; 0 where it does not say."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def in_words(status: int) -> str:
    """What a process's return code means, as the end of a sentence."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"


def _hint_for_file(name: str) -> str:
    return "" if Path(name).is_dir() else f"make it executable: chmod +x {name}"


def _hint_for_name(name: str) -> str:
    if name == "app-server":
        return "the reference service is an extra: pip install 'loadproof[app]'"
    if any(character.isspace() for character in name):
        return f"write program and arguments as separate items: [{', '.join(name.split())}]"
    return "install it, or give its path; commands are looked up on PATH without a shell"


def _cannot_run(name: str, error: OSError | ValueError) -> EnvironmentLacks:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    hint = ""
    if isinstance(error, OSError) and error.strerror == "Exec format error":
        hint = "a script needs a first line such as #!/bin/sh"
    elif isinstance(error, FileNotFoundError):
        hint = "it exists, so the interpreter named in its first line is what is missing"
    return EnvironmentLacks(f"topology.app.command: {name} cannot be run: {reason}", hint=hint)
