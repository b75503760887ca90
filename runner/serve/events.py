"""A stream of events: tells open lists that there are new runs, and that the server is still there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import trio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from runner.core.units import Seconds
from runner.serve.requests import site_of
from runner.serve.site import Site, TooManyViewers

_HEARTBEAT_S: Final[Seconds] = 15.0
_AT_MOST_EVERY_S: Final[Seconds] = 1.0
_RETRY_MS: Final = 3000


async def events(request: Request) -> Response:
    """Return the stream; each event has the version of the list, and how many runs were not read yet."""
    site = site_of(request)
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    try:
        site.enter()
    except TooManyViewers:
        return PlainTextResponse("Too many pages are open.\n", 503, {"Retry-After": "30"})
    return StreamingResponse(_stream(site), media_type="text/event-stream")


async def _stream(site: Site) -> AsyncIterator[str]:
    try:
        sent = -1
        yield f"retry: {_RETRY_MS}\n\n"
        while not site.closing.is_set():
            if site.index.version != sent:
                sent = site.index.version
                yield f"id: {sent}\nevent: runs\ndata: {sent} {site.reading}\n\n"
                await _pause(site, _AT_MOST_EVERY_S)
            elif not await site.next_change(_HEARTBEAT_S):
                yield ": still here\n\n"
    finally:
        site.leave()


async def _pause(site: Site, seconds: Seconds) -> None:
    with trio.move_on_after(seconds):
        await site.closing.wait()
