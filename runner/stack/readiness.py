"""Waits until a part of a stack is ready (HTTP, TCP or a program); reports at once when it never will be."""

from __future__ import annotations

import shlex
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
import trio

from runner.bounded_http import bounded_transport
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.status_advice import SERVER_ERROR
from runner.core.units import Seconds
from runner.stack.exit_status import describe_exit
from runner.stack.protocols import ProgramResult

_INTERVAL_S: Final = 0.05
_PROBE_TIMEOUT_S: Final = 5.0
_NOT_LISTENING: Final = "the service must listen on this address and port; set its `port` or `ready`"
_FAILS: Final = "read its log: the service fails at this path; or set `health` to a path that returns 2xx"
_COMMAND_TIMEOUT_S: Final = 10.0


@dataclass(slots=True)
class LastProbe:
    """What the last look at something that is to become ready showed, as words for a message."""

    outcome: str = "there was no response"
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """How to tell that something is ready.

    Attributes:
        look: Returns whether it is ready now; writes down what it saw.
        failure: What never happened, for a message, such as ``GET http://… never returned 2xx``.
        success: What has to happen, for a message, such as ``http://… responded``.
    """

    look: Callable[[LastProbe], Awaitable[bool]]
    failure: str
    success: str


async def wait_ready(
    url: str,
    *,
    deadline_s: Seconds,
    alive: Callable[[], str | None],
    last_output: Callable[[], tuple[str, ...]] = tuple,
    name: str = "the app",
    address: str = "",
    verify: ssl.SSLContext | None = None,
) -> None:
    """Return as soon as `url` responds with a 2xx status.

    Args:
        url: The health URL, requested without any proxy from the environment.
        deadline_s: How long it may take.
        alive: Returns why there can be no response any more, such as ``exited with status 1``, else None.
        last_output: Returns lines that explain a failure.
        name: What is being waited for, for the message.
        address: Where to connect to instead of resolving the URL's host.
        verify: Verifies the certificate of an https URL; the system's default without it.

    Raises:
        StackFailed: `alive` gave a reason, or the deadline passed.
    """
    request = _request(url, address)
    if verify is None:
        is_https = request.url.scheme == "https"
        verify = ssl.create_default_context() if is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = bounded_transport(verify)
    async with httpx.AsyncClient(trust_env=False, transport=transport) as client:
        look = partial(_responds, client, request)
        check = Check(look, f"GET {url} never returned 2xx", f"{url} responded")
        await wait_for(check, deadline_s=deadline_s, alive=alive, last_output=last_output, name=name)


async def wait_for(
    check: Check,
    *,
    deadline_s: Seconds,
    alive: Callable[[], str | None],
    last_output: Callable[[], tuple[str, ...]] = tuple,
    name: str,
) -> None:
    """Return as soon as a check succeeds; arguments as of `wait_ready`.

    Raises:
        StackFailed: `alive` gave a reason, or the deadline passed.
        EnvironmentLacks: The check itself is not possible.
    """
    last = LastProbe()
    ready, death = False, ""
    fault: EnvironmentLacks | None = None

    async def look() -> None:
        nonlocal ready, fault
        next_look = trio.current_time()
        try:
            while not await check.look(last):
                next_look = max(next_look + _INTERVAL_S, trio.current_time())
                await trio.sleep_until(next_look)
            ready = True
        except EnvironmentLacks as error:  # raised outside the nursery, which would wrap it
            fault = error
        nursery.cancel_scope.cancel()

    with trio.move_on_after(deadline_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            death = await _wait_dead(alive)
            nursery.cancel_scope.cancel()
    if fault:
        raise fault
    if not ready:
        what = f"{death} before {check.success}" if death else _late(check, last, deadline_s)
        raise StackFailed(f"{name} {what}", hint="" if death else last.hint, details=last_output())


def _late(check: Check, last: LastProbe, deadline_s: Seconds) -> str:
    return f"was not ready within {deadline_s:g} s: {check.failure}, {last.outcome}"


def accepts(host: str, port: int, *, hint: str = _NOT_LISTENING) -> Check:
    """Return a check that succeeds when a port accepts a connection; `hint` says what to do else."""

    async def look(last: LastProbe) -> bool:
        try:
            with trio.fail_after(_PROBE_TIMEOUT_S):
                stream = await trio.open_tcp_stream(host, port)
        except (OSError, trio.TooSlowError) as error:
            last.outcome = (
                "nothing listens there" if isinstance(error, OSError) else "no attempt was answered"
            )
            last.hint = hint
            return False
        await trio.aclose_forcefully(stream)
        return True

    return Check(look, f"{host}:{port} never accepted a connection", "it accepted a connection")


def succeeds(command: Sequence[str], run: Callable[[Seconds], Awaitable[ProgramResult]]) -> Check:
    """Return a check that succeeds when a program exits with status 0.

    Args:
        command: The program and its arguments, for messages.
        run: Runs it for at most so many seconds; raises TimeoutError after them.
    """

    async def look(last: LastProbe) -> bool:
        try:
            result = await run(_COMMAND_TIMEOUT_S)
        except TimeoutError:
            last.outcome = f"it did not end within {_COMMAND_TIMEOUT_S:g} s"
            return False
        said = f": {result.output[-1]}" if result.output else ""
        last.outcome = f"the last time it {describe_exit(result.status)}{said}"
        return result.status == 0

    shown = shlex.join(command)
    return Check(look, f"`{shown}` never exited with status 0", "it was ready")


async def _wait_dead(alive: Callable[[], str | None]) -> str:
    next_look = trio.current_time()
    while not (death := alive()):
        next_look += _INTERVAL_S
        await trio.sleep_until(next_look)
    return death


def _request(url: str, address: str) -> httpx.Request:
    """Return a GET of `url` that goes to `address`, if given, but keeps the URL's host in Host and SNI."""
    parsed = httpx.URL(url)
    headers = {"host": parsed.netloc.decode("ascii"), "connection": "close"}
    extensions = {"sni_hostname": parsed.host, "timeout": httpx.Timeout(_PROBE_TIMEOUT_S).as_dict()}
    target = parsed.copy_with(host=address) if address else parsed
    return httpx.Request("GET", target, headers=headers, extensions=extensions)


async def _responds(client: httpx.AsyncClient, request: httpx.Request, last: LastProbe) -> bool:
    try:
        # The status is enough: a body may be endless.
        with trio.fail_after(_PROBE_TIMEOUT_S):
            response = await client.send(request, stream=True)
            await response.aclose()
            status = response.status_code
    except (httpx.TimeoutException, trio.TooSlowError):
        last.outcome = f"it accepts connections but does not respond within {_PROBE_TIMEOUT_S:g} s"
    except httpx.ConnectError:
        last.outcome, last.hint = "nothing listens there", "the app must listen on this address and port"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        last.outcome = f"the response is not HTTP ({error or type(error).__name__})"
    else:
        last.outcome = f"the last status was {status}"
        last.hint = _FAILS if status >= SERVER_ERROR else "set `health` to a path that returns 2xx"
        return 200 <= status < 300
    return False
