"""Waits until a health URL answers, or says at once why it will not."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx
import trio

from runner.core.errors import StackFailed
from runner.core.units import Seconds

_EVERY_S: Final = 0.05
_PROBE_S: Final = 5.0


@dataclass(slots=True)
class _Seen:
    last: str = "there was no answer at all"
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
    """Return as soon as `url` answers with a 2xx status.

    Args:
        url: The health URL, asked without any proxy of this user's environment.
        deadline_s: How long it may take.
        alive: Says why there will be no answer any more, such as ``exited with status 1``,
            or None while there may be one.
        last_output: Lines that explain a failure.
        name: What is being waited for, for the message.
        address: Where to connect to instead of looking the URL's host up.
        verify: Judges the certificate of an https URL; without it the system's way.

    Raises:
        StackFailed: `alive` gave a reason, or time is up.
    """
    seen = _Seen()
    death: str | None = None
    with trio.move_on_after(deadline_s):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_probe_until_ready, _request(url, address), seen, nursery.cancel_scope, verify)
            death = await _wait_dead(alive)
            nursery.cancel_scope.cancel()
    if seen.ready:
        return
    if death:
        raise StackFailed(f"{name} {death} before it answered {url}", details=last_output())
    raise StackFailed(
        f"{name} was not ready within {deadline_s:g} s: GET {url} never answered 2xx, {seen.last}",
        hint=seen.hint,
        details=last_output(),
    )


async def _wait_dead(alive: Callable[[], str | None]) -> str:
    beat = trio.current_time()
    while not (death := alive()):
        beat += _EVERY_S
        await trio.sleep_until(beat)
    return death


def _request(url: str, address: str) -> httpx.Request:
    """A GET of `url` that goes to `address`, if there is one, and names the URL's host all the same."""
    asked = httpx.URL(url)
    headers = {"host": asked.netloc.decode("ascii"), "connection": "close"}
    extensions = {"sni_hostname": asked.host, "timeout": httpx.Timeout(_PROBE_S).as_dict()}
    target = asked.copy_with(host=address) if address else asked
    return httpx.Request("GET", target, headers=headers, extensions=extensions)


async def _probe_until_ready(
    request: httpx.Request, seen: _Seen, scope: trio.CancelScope, verify: ssl.SSLContext | None
) -> None:
    beat = trio.current_time()
    async with httpx.AsyncClient(trust_env=False, verify=verify or True) as client:
        while not await _is_ready(client, request, seen):
            beat = max(beat + _EVERY_S, trio.current_time())
            await trio.sleep_until(beat)
    seen.ready = True
    scope.cancel()


async def _is_ready(client: httpx.AsyncClient, request: httpx.Request, seen: _Seen) -> bool:
    try:
        # The status is enough: a body may be endless.
        response = await client.send(request, stream=True)
        await response.aclose()
        status = response.status_code
    except httpx.TimeoutException:
        seen.last = f"it accepts connections but does not answer within {_PROBE_S:g} s"
    except httpx.ConnectError:
        seen.last, seen.hint = "nothing listens there", "the app must listen on this address and port"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        seen.last = f"what answers there is not HTTP ({error or type(error).__name__})"
    else:
        seen.last = f"the last answer was {status}"
        seen.hint = "name a path that answers 2xx in `health`"
        return 200 <= status < 300
    return False
