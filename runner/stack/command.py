"""Starts a command of the specification as a process that can be observed and explained."""

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
from runner.core.units import Seconds
from runner.stack.cpu_affinity import pin
from runner.stack.output import OutputTail
from runner.stack.protocols import StackContext
from runner.stack.reaper import COOKIE, start_ticks


@dataclass(frozen=True, slots=True)
class Command:
    """A process this run started, in a session and process group of its own.

    Attributes:
        name: Its name in messages and subjects, such as ``app`` or ``app-2``.
        role: Which role its CPU counts as.
        argv: Program and arguments.
        port: The port it is given to listen on.
        process: The process; its pid is not reused until it is waited for.
        started: Its start time in clock ticks since boot.
        output: The end of its output.
        oom_kills: How many processes the kernel had killed for lack of memory when it started.
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
        """The pid, which is also the id of the process group."""
        return self.process.pid

    @property
    def subject(self) -> Subject:
        """The process with all its descendants, to be observed."""
        return Subject(self.name, self.role, "tree", self.pid, self.started)

    def death(self) -> str | None:
        """Return how it ended, such as ``was killed by SIGKILL``; None while it lives."""
        return None if (status := self.process.returncode) is None else describe_exit(status)


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
    """Start a command in the current directory, guarded by the watchdog.

    Args:
        argv: Program and arguments; the program is looked up as a shell would.
        env: Added to the runner's own environment.
        ctx: Provides the run's id and the watchdog.
        name: As in `Command`.
        role: As in `Command`.
        port: As in `Command`.
        cpus: Processors to pin it to, empty for any.
        secrets: Variables that it inherits, and whose values are masked in its output.

    Raises:
        EnvironmentLacks: There is no such program, or it cannot be run.
    """
    environment = {**os.environ, **env, COOKIE: ctx.run_id}
    output = OutputTail(secrets=secrets)
    try:
        process = await _spawn(argv, environment, output.write_fd)
    except EnvironmentLacks:
        output.close()
        raise
    if cpus:
        pin(process.pid, cpus)
    output.close_write_end()
    ctx.guard.process(process.pid)
    started = start_ticks(process.pid) or 0
    return Command(name, role, tuple(argv), port, process, started, output, oom_kills())


async def _spawn(argv: Sequence[str], environment: Mapping[str, str], output_fd: int) -> trio.Process:
    program = find_program(argv[0], environment.get("PATH", os.defpath))
    try:
        return await trio.lowlevel.open_process(
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output_fd,
            stderr=output_fd,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _cannot_run(argv[0], error) from error


async def end_group(process: trio.Process, *, grace_s: Seconds) -> None:
    """End a process that leads its group, and the whole group: SIGTERM first, SIGKILL after `grace_s`."""
    with trio.CancelScope(shield=True):
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal_group(process.pid, number)
            with trio.move_on_after(grace_s):
                await process.wait()
                break
        _signal_group(process.pid, signal.SIGKILL)  # for those the leader left behind


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def find_program(name: str, path: str) -> str:
    """Return where a program is: on `path`, else among the commands installed beside the runner.

    The second place makes ``app-server`` work when the virtual environment is not activated.
    It comes last, so that ``python`` stays the user's own.

    Raises:
        EnvironmentLacks: It is nowhere, or is not executable.
    """
    beside_runner = str(Path(sys.executable).parent)
    if program := shutil.which(name, path=os.pathsep.join([path, beside_runner])):
        return program
    if os.sep in name and Path(name).exists():
        what = "is a folder" if Path(name).is_dir() else "is not executable"
        raise EnvironmentLacks(f"topology.app.command: {name} {what}", hint=_hint_for_file(name))
    if os.sep in name:
        raise EnvironmentLacks(
            f"topology.app.command: {name} does not exist",
            hint=f"paths in a command are relative to the current directory, {Path.cwd()}",
        )
    raise EnvironmentLacks(f"topology.app.command: command not found: {name}", hint=_hint_for_name(name))


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since boot; 0 where unknown."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def describe_exit(status: int) -> str:
    """Return the meaning of a process's return code, as the predicate of a sentence."""
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
        hint = "the file exists, but the interpreter in its first line does not"
    return EnvironmentLacks(f"topology.app.command: {name} cannot be run: {reason}", hint=hint)
