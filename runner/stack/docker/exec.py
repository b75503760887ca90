"""Runs a program inside a container, and ends it with everything that it started.

The engine has no call that ends such a program: its processes are found on this machine, where containers are
observed as well.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.masking import margin, mask_bytes, without_escapes
from runner.core.units import Bytes, Seconds
from runner.stack import reaper
from runner.stack.docker.engine import Engine, EngineRefused, EngineUnavailable
from runner.stack.docker.responses import Created, ExecDetails
from runner.stack.output import printable
from runner.stack.protocols import KEPT_LINES, ProgramResult

_MARK: Final = "LOADPROOF_EXEC"
"""Environment variable by which the processes of one program are found."""
_KEPT: Final[Bytes] = 64 * 1024
_GRACE_S: Final[Seconds] = 1.0
_ENDS_WITHIN_S: Final[Seconds] = 5.0
_SIGNALLED: Final = 128
_NOT_STARTED: Final = frozenset({126, 127})
_RUNTIME: Final = "OCI runtime exec failed"
"""How the output of a program begins that could not be started."""


class _Tail:
    """Keeps the end of what a program writes; used by two threads."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._most = _KEPT + margin(values)
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) >= self._most:
            self._size -= len(self._chunks.popleft())

    def lines(self) -> tuple[str, ...]:
        masked = mask_bytes(b"".join(list(self._chunks)), self._values, keep=_KEPT).decode(errors="replace")
        lines = map(printable, without_escapes(masked).splitlines())
        return tuple(line for line in lines if line)[-KEPT_LINES:]


async def run_in_container(
    engine: Engine,
    container_id: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    within: Seconds,
    masked: Mapping[str, str],
) -> ProgramResult:
    """Run a program with a container's environment and `env`, and wait for its end.

    Args:
        engine: Runs the container.
        container_id: Of the container.
        argv: Program and arguments.
        env: Further environment variables.
        within: How long it may take.
        masked: Name to value of what is masked in its output.

    Raises:
        EnvironmentLacks: There is no such program, it cannot be run, or the container has ended.
        TimeoutError: It took longer than `within` seconds; its output so far is the exception's args.
    """
    mark = secrets.token_hex(8)
    create = partial(engine.api.exec_create, container_id, list(argv), environment={**env, _MARK: mark})
    exec_id = (await engine.read(Created, create)).id
    tail = _Tail(masked)
    ended = False
    try:
        with trio.move_on_after(within):
            await engine.call(_read_all, engine, exec_id, tail)
            ended = True
    finally:
        if not ended:
            await _end(engine, container_id, exec_id, mark)
    if not ended:
        raise TimeoutError(*tail.lines())
    return await _result(engine, exec_id, argv, tail.lines())


def _read_all(engine: Engine, exec_id: str, tail: _Tail) -> None:
    for chunk in engine.api.exec_output(exec_id):
        tail.add(chunk)


async def _result(engine: Engine, exec_id: str, argv: Sequence[str], lines: tuple[str, ...]) -> ProgramResult:
    details = await engine.read(ExecDetails, engine.api.exec_inspect, exec_id)
    code = details.exit_code or 0
    if code in _NOT_STARTED and lines and lines[0].startswith(_RUNTIME):
        reason = lines[0].rpartition(": ")[0] or lines[0]
        raise EnvironmentLacks(
            f"{argv[0]} cannot be run in the container: {reason.removeprefix(f'{_RUNTIME}: ')}",
            hint="give the path of a program that the container's image has",
        )
    return ProgramResult(_SIGNALLED - code if code > _SIGNALLED else code, lines)


async def _end(engine: Engine, container_id: str, exec_id: str, mark: str) -> None:
    with trio.move_on_after(_ENDS_WITHIN_S, shield=True), suppress(EngineRefused, EngineUnavailable):
        details = await engine.read(ExecDetails, engine.api.exec_inspect, exec_id)
        started = reaper.start_ticks(details.pid) if details.running and details.pid else None
        roots = _marked(mark) | ({details.pid: started} if started else {})
        inner = _inner_pid(details.pid)
        if not await trio.to_thread.run_sync(partial(reaper.end, None, roots, grace_s=_GRACE_S)) and inner:
            await _end_from_inside(engine, container_id, inner)


async def _end_from_inside(engine: Engine, container_id: str, pid: int) -> None:
    """End the program's group from within: only root may do it from outside."""
    kill = ["sh", "-c", f"kill -KILL -{pid} {pid}"]
    exec_id = (await engine.read(Created, engine.api.exec_create, container_id, kill)).id
    await engine.call(_read_all, engine, exec_id, _Tail({}))


def _marked(mark: str) -> dict[int, int]:
    """Return pid to start time of the program's processes, also those that left its group and its parent."""
    roots: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{_MARK}={mark}".encode() in (folder / "environ").read_bytes():
                roots[int(folder.name)] = reaper.start_ticks(int(folder.name)) or 0
    return roots


def _inner_pid(pid: int) -> int:
    """Return the pid that a process has in its container; 0 if it is gone."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0
