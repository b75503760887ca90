"""Starts a command of the specification as a process that can be observed and explained."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from runner.core.codes import RoleName
from runner.core.errors import EnvironmentLacks
from runner.core.observed_facts import Subject
from runner.core.units import Seconds
from runner.installation import how_to_add
from runner.stack.exit_status import describe_exit
from runner.stack.output import OutputTail
from runner.stack.paths import printable
from runner.stack.protocols import StackContext
from runner.stack.reaper import COOKIE, live_start_ticks
from runner.stack.supervised import Supervised, supervise


@dataclass(frozen=True, slots=True)
class Command:
    """A process this run started, in a session and process group of its own.

    Attributes:
        name: Its name in messages and subjects, such as ``app`` or ``app-2``.
        role: Which role its CPU counts as.
        argv: Program and arguments.
        port: The port it is given to listen on.
        process: The process, below a small parent of its own.
        output: The end of its output.
        oom_kills: How many processes the kernel had killed for lack of memory when it started.
        environment: Its environment variables.
        folder: Where it was started; None for the runner's own working directory.
    """

    name: str
    role: RoleName
    argv: tuple[str, ...]
    port: int
    process: Supervised
    output: OutputTail
    oom_kills: int
    environment: Mapping[str, str] = field(repr=False)
    folder: Path | None = None

    @property
    def pid(self) -> int:
        """The pid, which is also the id of the process group."""
        return self.process.pid

    @property
    def started(self) -> int:
        """Its start time in clock ticks since boot, which identifies it together with the pid."""
        return self.process.started

    @property
    def roots(self) -> dict[int, int]:
        """Pid to start time of the process and its parent: all other processes are below them."""
        parent = live_start_ticks(self.process.parent.pid)
        return {self.pid: self.started} | ({self.process.parent.pid: parent} if parent else {})

    @property
    def subject(self) -> Subject:
        """The process with all its descendants, to be observed."""
        return Subject(self.name, self.role, "tree", self.pid, self.started)

    def death(self) -> str | None:
        """Return how it ended, such as ``was killed by SIGKILL``; None while it lives."""
        return None if (status := self.process.returncode) is None else describe_exit(status)


@contextmanager
def _output_of(program: str, place: str, secrets: Mapping[str, str]) -> Iterator[OutputTail]:
    """Yield the output of a program that is started meanwhile; say why if that is not possible."""
    output = OutputTail(secrets=secrets)
    try:
        yield output
    except BaseException as error:
        output.close()
        if isinstance(error, OSError):
            raise cannot_run(program, error.errno or 0, place) from error
        raise
    output.close_write_end()


async def start(
    argv: Sequence[str],
    env: Mapping[str, str],
    ctx: StackContext,
    *,
    name: str,
    role: RoleName,
    port: int,
    cpus: Sequence[int] = (),
    secrets: Mapping[str, str] | None = None,
    folder: Path | None = None,
    where: str = "topology.app",
) -> Command:
    """Start a command, guarded by the watchdog.

    Args:
        argv: Program and arguments; the program is looked up as a shell would.
        env: Added to the runner's own environment.
        ctx: Provides the run's id and the watchdog.
        name: As in `Command`.
        role: As in `Command`.
        port: As in `Command`.
        cpus: Processors to pin it to, empty for any.
        secrets: Variables that it inherits, and whose values are masked in its output.
        folder: Where it starts; None for where the context says.
        where: The key of the part that it belongs to, for messages.

    Raises:
        EnvironmentLacks: There is no such program, or it cannot be run.
    """
    environment = {**os.environ, **env, COOKIE: ctx.run_id}
    folder = folder or ctx.commands_in
    place = f"{where}.command: "
    words = (find_program(argv[0], environment.get("PATH", os.defpath), folder, place), *argv[1:])
    refuse_nul(argv, environment, f"{where}: ")
    with _output_of(argv[0], place, {**(secrets or {}), **ctx.request_secrets}) as output:
        process = await supervise(
            words, environment, ctx, name=name, output_fd=output.write_fd, cpus=cpus, folder=folder
        )
    return Command(name, role, tuple(argv), port, process, output, oom_kills(), environment, folder)


def refuse_nul(argv: Sequence[str], environment: Mapping[str, str], where: str = "") -> None:
    """Raise EnvironmentLacks if a program cannot get its arguments or its environment.

    Args:
        argv: Program and arguments.
        environment: Its environment variables.
        where: The key in the specification that begins the message.
    """
    if any("\0" in word for word in (*argv, *environment.values())):
        raise EnvironmentLacks(
            f"{where}a word of the command {argv[0]!r}, or a value in env, contains a NUL character",
            hint="remove it: arguments and environment variables cannot contain NUL",
        )


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


def find_program(
    name: str, path: str, folder: Path | None = None, where: str = "topology.app.command: "
) -> str:
    """Return where a program is: on `path`, else among the commands installed beside the runner.

    The second place makes ``app-server`` work when the virtual environment is not activated.
    It comes last, so that ``python`` stays the user's own.

    Args:
        name: A name with a slash is a path.
        path: As in ``PATH``.
        folder: Where relative paths start; None for the current directory.
        where: The key in the specification that begins the message.

    Raises:
        EnvironmentLacks: It is nowhere, or is not executable.
    """
    beside_runner = str(Path(sys.executable).parent)
    file = folder / name if folder and os.sep in name else Path(name)
    place = str(file) if folder else name  # not a Path: "./serve" must keep its slash
    if program := shutil.which(place, path=os.pathsep.join([path, beside_runner])):
        return program
    if os.sep in name and file.exists():
        what = "is a folder" if file.is_dir() else "is not executable"
        raise EnvironmentLacks(f"{where}{name} {what}", hint=_hint_for_file(file))
    if os.sep in name:
        start = printable(folder) if folder else f"the current directory, {printable(Path.cwd())}"
        raise EnvironmentLacks(
            f"{where}{name} does not exist",
            hint=f"paths in a command are relative to {start}",
        )
    raise EnvironmentLacks(f"{where}command not found: {name}", hint=_hint_for_name(name))


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since boot; 0 where unknown."""
    with suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _hint_for_file(file: Path) -> str:
    return "" if file.is_dir() else f"make it executable: chmod +x {printable(file)}"


def _hint_for_name(name: str) -> str:
    if name == "app-server":
        return f"the reference service is an extra: {how_to_add('app')}"
    if any(character.isspace() for character in name):
        return f"write program and arguments as separate items: [{', '.join(name.split())}]"
    return "install it, or give its path; commands are looked up on PATH without a shell"


def cannot_run(name: str, error_number: int, where: str = "topology.app.command: ") -> EnvironmentLacks:
    """Return the error for a program that exists but cannot be executed; arguments as of `find_program`."""
    hints = {
        errno.ENOEXEC: "a script needs a first line such as #!/bin/sh",
        errno.ENOENT: "the file exists, but the interpreter in its first line does not",
    }
    reason = os.strerror(error_number)
    hint = hints.get(error_number, "")
    return EnvironmentLacks(f"{where}{name} cannot be run: {reason}", hint=hint)
