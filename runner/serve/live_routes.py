"""The page of a run in progress, and the stream of events that fills it."""

from __future__ import annotations

import os
import shlex
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import trio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from runner.core.codes import Role
from runner.core.units import Seconds
from runner.experiment.suggestions import harmless
from runner.report.metric_text import role_name
from runner.serve.live_tail import POLL_S, LiveState, LiveTail, state_event
from runner.serve.requests import html, no_such_run, run_path, site_of
from runner.serve.site import Site, TooManyViewers, address
from runner.store.run_names import PAGE
from runner.store.run_summary import RunState, RunSummary

_ROLES: Final = {
    Role.FORWARDER: role_name(Role.FORWARDER),
    Role.OTHER: "other programs",
    Role.SYSTEM: "total",
}
"""What the page calls roles that have another name in files."""
_HEARTBEAT_S: Final[Seconds] = 10.0
_RETRY_MS: Final = 1500
_MAX_TAILS: Final = 16
_PAGE, _EVENTS = "/live/", "/live-events/"
_SHOWN: Final = frozenset({RunState.RUNNING, RunState.INTERRUPTED, RunState.UNREAD})
_FRESH_S: Final[Seconds] = 8.0
"""How long the index may take to notice that a run has ended."""


class Watched:
    """The runs that are watched, each read once for all its viewers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tails: OrderedDict[str, LiveTail] = OrderedDict()

    def tail(self, path: str, folder: Path) -> LiveTail:
        """Return the records of a run; those of runs that nobody asked for lately are closed."""
        if path not in self._tails:
            self._tails[path] = LiveTail(folder, lambda: self._until_listed(path))
        self._tails.move_to_end(path)
        while len(self._tails) > _MAX_TAILS:
            self._tails.popitem(last=False)[1].close()
        return self._tails[path]

    async def _until_listed(self, path: str) -> None:
        """Wait until the list knows that a run has ended, for else its report leads back to the live page."""
        with trio.move_on_after(_FRESH_S):
            while (run := self._site.index.get(path)) is None or run.state is RunState.RUNNING:
                await self._site.freshen(at_once=True)
                await trio.sleep(POLL_S)


async def live_page(request: Request) -> Response:
    """Return the page; of a run that has ended, its report instead."""
    from runner.analyze.programs import DISTURBED  # noqa: PLC0415  (the list needs none of the analysis)

    site = site_of(request)
    path = await _path_of(request, _PAGE)
    if path is None:
        return no_such_run(request)
    run = site.index.get(path)
    awaited = path == site.awaited and not (run is not None and run.is_measured)
    if run is not None and run.state not in _SHOWN and not awaited:
        return RedirectResponse(f"/run/{address(run)}", 303)
    folder = site.folder / path if path else site.folder
    name = run.experiment if run is not None else ""
    return html(
        "live.html.j2",
        request,
        experiment=name,
        events=f"{_EVENTS}{_quoted(path)}",
        report=f"/run/{_quoted(path)}",
        roles=_ROLES,
        disturbed=DISTURBED,
        report_file=harmless(str(folder / PAGE)),
        resume=f"runner execute --resume {shlex.quote(harmless(str(folder)))}",
    )


async def live_events(request: Request) -> Response:
    """Return the stream; a browser that comes back gets what it missed, or everything."""
    site = site_of(request)
    path = await _path_of(request, _EVENTS)
    folder = None if path is None else _folder(site, path)
    if path is None or folder is None:
        return PlainTextResponse("There is no such run.\n", 404)
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    run = site.index.get(path)
    if run is not None and run.state not in _SHOWN and path != site.awaited:
        site.owed += run.is_measured
        return _ended(run)
    try:
        site.enter()
    except TooManyViewers:
        return PlainTextResponse("Too many pages are open.\n", 503, {"Retry-After": "30"})
    watched = request.app.state.watched
    assert isinstance(watched, Watched)
    last_id = request.headers.get("last-event-id", "")[:100]
    events = _stream(site, watched.tail(path, folder), f"/run/{_quoted(path)}", last_id)
    return StreamingResponse(events, media_type="text/event-stream")


def _ended(run: RunSummary) -> Response:
    """Tell a page that came after the end where the report is; 404 where there never was a run."""
    if not run.is_measured:
        return PlainTextResponse("This run cannot be watched.\n", 404)
    told = state_event(LiveState.ENDED, f"/run/{address(run)}")
    return Response(told, media_type="text/event-stream")


async def _stream(site: Site, tail: LiveTail, report: str, last_id: str) -> AsyncIterator[bytes]:
    try:
        yield f"retry: {_RETRY_MS}\n\n".encode()
        await tail.refresh()
        position, state, told_at = tail.position(last_id), None, trio.current_time()
        while not site.closing.is_set():
            if position != tail.number or state is not tail.state:
                for event in tail.since(position):
                    yield event
                if state is not tail.state:
                    site.owed += tail.state is LiveState.ENDED
                    yield state_event(tail.state, report)
                position, state, told_at = tail.number, tail.state, trio.current_time()
            elif trio.current_time() > told_at + _HEARTBEAT_S:
                told_at = trio.current_time()
                yield b"event: alive\ndata: 0\n\n"
            if state is LiveState.ENDED:
                await _closing(site, _HEARTBEAT_S)  # the browser leaves for the report
                return
            await _closing(site, POLL_S)
            await tail.refresh()
    finally:
        site.leave()


async def _closing(site: Site, seconds: Seconds) -> None:
    with trio.move_on_after(seconds):
        await site.closing.wait()


async def _path_of(request: Request, prefix: str) -> str | None:
    """Return the path of the run that an address names: one of the list, or one that is about to begin."""
    raw, site = run_path(request, prefix), site_of(request)
    if raw is None:
        return None
    path = os.fsdecode(unquote_to_bytes(raw))
    run = site.index.get(path)
    if run is None or run.state not in _SHOWN:
        await site.freshen()
        run = site.index.get(path)
    if run is None:
        return path if path == site.awaited else None
    return run.path


def _folder(site: Site, path: str) -> Path | None:
    """Return the folder of a run; None if it leads out of the folder that is shown."""
    root = os.path.realpath(site.folder)
    where = os.path.join(root, path) if path else root  # noqa: PTH118  (a name may be no UTF-8)
    return Path(where) if os.path.realpath(where) == where else None


def _quoted(path: str) -> str:
    return quote(os.fsencode(path))


LIVE_ROUTES: Final = [
    Route("/live/{path:any}", live_page),
    Route("/live-events/{path:any}", live_events),
]
