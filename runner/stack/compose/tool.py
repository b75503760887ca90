"""The program that runs compose files: `docker compose`, or version 1's `docker-compose`.

It runs as a bounded process without a shell, and ends with the runner. Its messages are kept, so that a
failure is explained in its own words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.stack.command import end_group
from runner.stack.output import OutputTail
from runner.stack.protocols import Guard

MAX_OUTPUT: Final[Bytes] = 8 * BYTES_PER_MIB
_OLDEST: Final = {2: (2, 0), 1: (1, 27)}
"""Of each major version: since then files need no `version`, and 1 reads what 2 reads."""
_VERSION_WITHIN_S: Final[Seconds] = 20.0
_GRACE_S: Final[Seconds] = 3.0
_LAST_LINES: Final = 20
_CHUNK: Final[Bytes] = 65_536
_VERSION: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.\d+)?\S*")
_PROGRESS: Final = re.compile(
    r"^\s*(?:Container|Network|Volume|Image) .*"
    r"(?:Creat|Start|Stopp|Remov|Recreat|Wait|Runn|Healthy|Exited|Built|Pull|Interrupted|Error)\w*\s*$"
    r"|^(?:Creating|Starting|Recreating|Removing|Stopping|Pulling) .*(?:\.\.\.|driver)"
)
_LOG_LINE: Final = re.compile(r'^time="[^"]*" level=(?P<level>\w+) msg="(?P<text>(?:[^"\\]|\\.)*)"')
_IGNORED: Final = (
    "COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES", "COMPOSE_PATH_SEPARATOR",
    "COMPOSE_REMOVE_ORPHANS", "COMPOSE_DISABLE_ENV_FILE", "DOCKER_CONTEXT",
)  # fmt: skip
"""Variables of the user that would change which files, services or engine are used."""
_INSTALL_HINT: Final = (
    "install the plugin docker-compose-v2 (Ubuntu) or docker-compose-plugin (Docker's packages), "
    "or docker-compose (Debian)"
)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a call ended: its exit status, what it wrote to stdout, and the lines of both outputs that matter.

    Attributes:
        lines: Last lines without progress and warnings.
        warnings: What it warned of.
    """

    status: int
    stdout: bytes
    lines: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """An installed Compose.

    Attributes:
        words: How it is called.
        version: As it prints it, such as ``2.26.1``.
        guard: Ends it when the runner dies.
        engine_url: The Docker Engine that it uses; empty for the user's own.
        secrets: Name to value of what its messages may not show.
    """

    words: tuple[str, ...]
    version: str
    guard: Guard
    engine_url: str
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def major(self) -> int:
        """1 or 2; a later one counts as 2."""
        return 1 if self.version.startswith("1.") else 2

    async def run(self, arguments: Sequence[str], *, within: Seconds, cwd: Path | None = None) -> Finished:
        """Call it, and return how it ended; cancellation ends it with everything that it started.

        Raises:
            EnvironmentLacks: It cannot be run.
            StackFailed: It did not end in time, or printed too much.
        """
        with OutputTail(secrets=self.secrets) as output:
            process = await self._start(arguments, output.write_fd, cwd)
            output.close_write_end()
            self.guard.process(process.pid)
            stdout: bytes | None = None
            try:
                with trio.move_on_after(within):
                    stdout = await _read(process)
                    await process.wait()
            finally:
                if process.returncode is None:
                    await end_group(process, grace_s=_GRACE_S)
                self.guard.forget(process.pid)
            lines = output.lines(_LAST_LINES * 10)
        if stdout is None or process.returncode is None:
            what = f"`{' '.join(self.words)}` did not finish within {within:g} s"
            raise StackFailed(what, details=_messages(lines)[-_LAST_LINES:])
        shown = lines if self.major == 2 else (*lines, *_tail(stdout))
        return Finished(process.returncode, stdout, _messages(shown)[-_LAST_LINES:], _warnings(lines))

    async def _start(self, arguments: Sequence[str], stderr: int, cwd: Path | None) -> trio.Process:
        try:
            return await trio.lowlevel.open_process(
                [*self.words, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=cwd,
                env=_environment(self.engine_url),
                start_new_session=True,
            )
        except OSError as error:
            raise EnvironmentLacks(
                f"`{' '.join(self.words)}` cannot be run: {error.strerror}", hint=_INSTALL_HINT
            ) from error


async def find_tool(guard: Guard, engine_url: str, secrets: Mapping[str, str]) -> Tool:
    """Return Compose: the plugin of `docker` if there is one, else `docker-compose`.

    Raises:
        EnvironmentLacks: There is none, or it is too old.
    """
    found: list[Tool] = []
    for words in (("docker", "compose"), ("docker-compose",)):
        if program := shutil.which(words[0]):
            tool = Tool((program, *words[1:]), "", guard, engine_url, secrets)
            if version := await _version(tool):
                tool = Tool(tool.words, version, guard, engine_url, secrets)
                if _is_new_enough(version):
                    return tool
                found.append(tool)
    if found:
        raise EnvironmentLacks(
            f"{found[0].words[0]} is Compose {found[0].version}, which is too old: 1.27 or newer is needed",
            hint=_INSTALL_HINT,
        )
    raise EnvironmentLacks(
        "Compose is not installed: neither `docker compose` nor `docker-compose` can be run",
        hint=_INSTALL_HINT,
    )


async def _version(tool: Tool) -> str | None:
    finished = await tool.run(["version", "--short"], within=_VERSION_WITHIN_S)
    match = _VERSION.fullmatch(finished.stdout.decode(errors="replace").strip())
    return match[0].removeprefix("v")[:50] if match and finished.status == 0 else None


def _is_new_enough(version: str) -> bool:
    match = _VERSION.fullmatch(version)
    assert match
    number = (int(match[1]), int(match[2]))
    return number >= _OLDEST.get(number[0], (0, 0))


def _environment(engine_url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _IGNORED}
    plain = {"COMPOSE_ANSI": "never", "COMPOSE_PROGRESS": "plain", "BUILDKIT_PROGRESS": "plain"}
    if shutil.which("docker") is None:
        plain["COMPOSE_DOCKER_CLI_BUILD"] = "0"  # version 1 would call it to build
    host = {"DOCKER_HOST": engine_url} if engine_url else {}
    return inherited | plain | host | {"COMPOSE_IGNORE_ORPHANS": "1"}


async def _read(process: trio.Process) -> bytes:
    """Return what a process writes to stdout.

    Raises:
        StackFailed: It is too much.
    """
    assert process.stdout is not None
    content = bytearray()
    async with process.stdout as stdout:
        while chunk := await stdout.receive_some(_CHUNK):
            content += chunk
            if len(content) > MAX_OUTPUT:
                raise StackFailed(f"Compose printed more than {MAX_OUTPUT // BYTES_PER_MIB} MiB")
    return bytes(content)


def _tail(stdout: bytes) -> list[str]:
    return stdout[-_CHUNK:].decode(errors="replace").splitlines()[-_LAST_LINES:]


def _messages(lines: Sequence[str]) -> tuple[str, ...]:
    """Return lines without progress, and without the form of a log."""
    kept = (line for line in lines if not _PROGRESS.match(line))
    return tuple(_LOG_LINE.sub(r"\g<text>", line) for line in kept if "level=warning" not in line)


def _warnings(lines: Sequence[str]) -> tuple[str, ...]:
    logged = (match for line in lines if (match := _LOG_LINE.match(line)))
    texts = (match["text"].replace('\\"', '"') for match in logged if match["level"] == "warning")
    return tuple(dict.fromkeys(text for text in texts if "`version` is obsolete" not in text))
