"""What a service answers, asked before anything is known about it; a handful of requests, no load."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx
import psutil
import trio

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.units import Seconds
from runner.stack.ports import LOOPBACK, free_port, holders

_PATHS: Final = ("/healthz", "/health", "/")
_ANSWER_S: Final[Seconds] = 5.0
_START_S: Final[Seconds] = 30.0
_END_S: Final[Seconds] = 5.0
_EVERY_S: Final[Seconds] = 0.1


@dataclass(frozen=True, slots=True)
class Answers:
    """What was found.

    Attributes:
        path: The path that was asked about.
        status: What it answered there.
        health: The first path known to answer 2xx; None when none does.
    """

    path: str
    status: int
    health: str | None


async def explore_url(url: str, path: str, *, insecure: bool = False) -> Answers:
    """Ask a service that runs.

    Args:
        url: Without a path of its own.
        path: What load is to ask for.
        insecure: Any certificate will do.

    Raises:
        StackFailed: It does not answer.
    """
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=_ANSWER_S, verify=_context(insecure=insecure)
    ) as client:
        try:
            status = await _status(client, path)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise StackFailed(
                f"{url} does not answer: {str(error) or type(error).__name__}",
                hint="start the service, or correct the address",
            ) from None
        return await _answers(client, path, status)


async def explore_command(command: Sequence[str], path: str | None) -> Answers:
    """Start a service, ask it, and end it.

    Args:
        command: Program and arguments; ``{port}`` becomes a free port.
        path: What load is to ask for; None for the health path.

    Raises:
        EnvironmentLacks: There is no such program.
        StackFailed: It ended, or never answered.
    """
    port = free_port()
    words = [word.replace("{port}", str(port)) for word in command]
    async with (
        _started(words) as process,
        httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=_ANSWER_S) as client,
    ):
        first = path or _PATHS[0]
        status = await _first_answer(client, first, process, words)
        found = await _answers(client, first, status)
        if path is None and found.health and found.health != first:
            return Answers(found.health, await _status(client, found.health), found.health)
        return found


def listeners_on(port: int) -> tuple[int, ...]:
    """The processes of this host that listen on a port, as far as they may be seen; roots of their trees."""
    found = {holder.pid for holder in holders(port) if holder.pid}
    return tuple(sorted(pid for pid in found if not _parents(pid) & found))


def _parents(pid: int) -> set[int]:
    """Who started it; a tree is watched from its root."""
    with suppress(psutil.Error):
        return {each.pid for each in psutil.Process(pid).parents()}
    return set()


def _context(*, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _status(client: httpx.AsyncClient, path: str) -> int:
    """The status alone is enough: a body may be endless."""
    async with client.stream("GET", path) as response:
        return response.status_code


async def _answers(client: httpx.AsyncClient, path: str, status: int) -> Answers:
    for candidate in dict.fromkeys((*_PATHS[:2], path, _PATHS[2])):
        with suppress(httpx.HTTPError):
            if 200 <= (status if candidate == path else await _status(client, candidate)) < 300:
                return Answers(path, status, candidate)
    return Answers(path, status, None)


async def _first_answer(
    client: httpx.AsyncClient, path: str, process: trio.Process, words: Sequence[str]
) -> int:
    program = words[0]
    with trio.move_on_after(_START_S):
        while process.poll() is None:
            with suppress(httpx.HTTPError):
                return await _status(client, path)
            await trio.sleep(_EVERY_S)
    if process.returncode is not None:
        raise StackFailed(
            f"{program} ended with status {process.returncode} before it answered",
            hint=f"does it start by itself? {' '.join(words)}",
        )
    raise StackFailed(
        f"{program} did not answer HTTP on 127.0.0.1, at the port it was given, within {_START_S:g} s",
        hint=f"does it listen there? {' '.join(words)}",
    )


@asynccontextmanager
async def _started(words: list[str]) -> AsyncIterator[trio.Process]:
    try:
        process = await trio.lowlevel.open_process(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise EnvironmentLacks(
            f"cannot start {words[0]}: {error.strerror}", hint="give the program's path, or install it"
        ) from None
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            await _ended(process)


async def _ended(process: trio.Process) -> None:
    """End it and all it started, gently first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with trio.move_on_after(_END_S):
            await process.wait()
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
