"""Waits until a health URL returns 2xx, and reports at once when it never will."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx
import trio

from runner.bounded_http import bounded_transport
from runner.core.errors import StackFailed
from runner.core.units import Seconds

_INTERVAL_S: Final = 0.05
_PROBE_TIMEOUT_S: Final = 5.0


@dataclass(slots=True)
class _LastProbe:
    outcome: str = "there was no response"
    hint: str = ""
    ready: bool = False


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
    last = _LastProbe()
    death: str | None = None
    with trio.move_on_after(deadline_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_probe_until_ready, _request(url, address), last, nursery.cancel_scope, verify)
            death = await _wait_dead(alive)
            nursery.cancel_scope.cancel()
    if last.ready:
        return
    if death:
        raise StackFailed(f"{name} {death} before {url} responded", details=last_output())
    message = f"{name} was not ready within {deadline_s:g} s: GET {url} never returned 2xx, {last.outcome}"
    raise StackFailed(message, hint=last.hint, details=last_output())


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


async def _probe_until_ready(
    request: httpx.Request, last: _LastProbe, scope: trio.CancelScope, verify: ssl.SSLContext | None
) -> None:
    next_probe = trio.current_time()
    if verify is None:
        is_https = request.url.scheme == "https"
        verify = ssl.create_default_context() if is_https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = bounded_transport(verify)
    async with httpx.AsyncClient(trust_env=False, transport=transport) as client:
        while not await _is_ready(client, request, last):
            next_probe = max(next_probe + _INTERVAL_S, trio.current_time())
            await trio.sleep_until(next_probe)
    last.ready = True
    scope.cancel()


async def _is_ready(client: httpx.AsyncClient, request: httpx.Request, last: _LastProbe) -> bool:
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
        last.hint = "set `health` to a path that returns 2xx"
        return 200 <= status < 300
    return False
