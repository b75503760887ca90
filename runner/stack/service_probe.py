"""Finds out how an unknown service responds, for `runner init`: a handful of requests, no load."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import httpx
import trio

from runner.bounded_http import bounded_transport
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.load_facts import MAX_SAMPLE, ResponseSample
from runner.core.status_advice import EXPLAINING_HEADERS
from runner.core.units import Seconds
from runner.stack.command import end_group
from runner.stack.ports import LOOPBACK, fill_port, free_port

_HEALTH_PATHS: Final = ("/healthz", "/health", "/")
_RESPONSE_TIMEOUT_S: Final[Seconds] = 5.0
_START_WITHIN_S: Final[Seconds] = 30.0
_GRACE_S: Final[Seconds] = 5.0
_RETRY_INTERVAL_S: Final[Seconds] = 0.1


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How a service responds.

    Attributes:
        path: The path that was requested.
        status: The status of the response there.
        health: The first path known to return 2xx; None when none does.
        headers: Those of the response that explain a status, names in small letters.
    """

    path: str
    status: int
    health: str | None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def sample(self) -> ResponseSample:
        """The response, for advice about its status."""
        return ResponseSample("bad_status", self.status, self.headers)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: tuple[tuple[str, str], ...]

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


async def probe_url(url: str, path: str, *, insecure: bool = False) -> ProbeResult:
    """Send a few requests to a running service.

    Args:
        url: Without a path of its own.
        path: The path the load is to request.
        insecure: Accept any certificate.

    Raises:
        StackFailed: It does not respond.
    """
    transport = bounded_transport(_context(insecure=insecure))
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=_RESPONSE_TIMEOUT_S, transport=transport
    ) as client:
        try:
            reply = await _reply(client, path)
        except (httpx.RemoteProtocolError, httpx.ReadTimeout) as error:
            raise _no_http(url, error) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise StackFailed(
                f"{url} does not respond: {str(error) or type(error).__name__}",
                hint="start the service, or correct the address",
            ) from None
        return await _find_health(client, path, reply)


async def probe_command(command: Sequence[str], path: str | None) -> ProbeResult:
    """Start a service, send it a few requests, and end it.

    Args:
        command: Program and arguments; ``{port}`` becomes a free port.
        path: The path the load is to request; None for the health path.

    Raises:
        EnvironmentLacks: There is no such program.
        StackFailed: It ended, or never responded.
    """
    port = free_port()
    words = [fill_port(word, port) for word in command]
    base_url = f"http://{LOOPBACK}:{port}"
    transport = bounded_transport(ssl.create_default_context())
    async with (
        _started(words) as process,
        httpx.AsyncClient(
            base_url=base_url, trust_env=False, timeout=_RESPONSE_TIMEOUT_S, transport=transport
        ) as client,
    ):
        first_path = path or _HEALTH_PATHS[0]
        result = await _find_health(
            client, first_path, await _first_reply(client, first_path, process, words)
        )
        if path is None and result.health and result.health != first_path:
            reply = await _reply(client, result.health)
            return ProbeResult(result.health, reply.status, result.health, reply.headers)
        return result


def _context(*, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_http(url: str, error: httpx.RemoteProtocolError | httpx.ReadTimeout) -> StackFailed:
    if "location" in str(error):  # httpx reads it although it does not follow it
        return StackFailed(f"{url} redirects to an address that is not a URL", hint="correct the service")
    silent = isinstance(error, httpx.ReadTimeout)
    why = f"there was no complete response head within {_RESPONSE_TIMEOUT_S:g} s" if silent else str(error)
    return StackFailed(
        f"{url} accepts connections, but does not respond with HTTP/1.1: {why}",
        hint="give the port of an HTTP service; one that speaks TLS needs https://",
    )


async def _reply(client: httpx.AsyncClient, path: str) -> _Reply:
    """Request a path without reading the body, which may be endless.

    Raises:
        httpx.HTTPError: There is no response, or it takes too long to begin.
    """
    with trio.move_on_after(_RESPONSE_TIMEOUT_S):
        async with client.stream("GET", path) as response:
            headers = response.headers
            shown = ((name, headers[name][:MAX_SAMPLE]) for name in EXPLAINING_HEADERS if name in headers)
            return _Reply(response.status_code, tuple(shown))
    raise httpx.ReadTimeout(f"no response within {_RESPONSE_TIMEOUT_S:g} s")


async def _find_health(client: httpx.AsyncClient, path: str, reply: _Reply) -> ProbeResult:
    for candidate in dict.fromkeys((*_HEALTH_PATHS[:2], path, _HEALTH_PATHS[2])):
        with suppress(httpx.HTTPError):
            if (reply if candidate == path else await _reply(client, candidate)).is_success:
                return ProbeResult(path, reply.status, candidate, reply.headers)
    return ProbeResult(path, reply.status, None, reply.headers)


async def _first_reply(
    client: httpx.AsyncClient, path: str, process: trio.Process, words: Sequence[str]
) -> _Reply:
    """Request a path until the service, which has just been started, responds."""
    program = words[0]
    with trio.move_on_after(_START_WITHIN_S):
        while process.poll() is None:
            try:
                return await _reply(client, path)
            except httpx.RemoteProtocolError as error:
                if "illegal" in str(error):  # not one that closed the connection while it starts
                    raise _no_http(words[0], error) from None
            except httpx.HTTPError:
                pass
            await trio.sleep(_RETRY_INTERVAL_S)
    if process.returncode is not None:
        raise StackFailed(
            f"{program} ended with status {process.returncode} before it responded",
            hint=f"check that this command works: {' '.join(words)}",
        )
    raise StackFailed(
        f"{program} did not respond over HTTP on {LOOPBACK}, at the port it was given, "
        f"within {_START_WITHIN_S:g} s",
        hint=f"check that this command listens there: {' '.join(words)}",
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
        await end_group(process, grace_s=_GRACE_S)
