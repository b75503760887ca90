"""The web application: which address leads to which page."""

from __future__ import annotations

import time
from collections.abc import Iterable

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from runner.serve import assets
from runner.serve.comparison_pages import compare_page, history_page
from runner.serve.events import events
from runner.serve.list_page import list_page
from runner.serve.live_routes import LIVE_ROUTES, Watched
from runner.serve.protection import Protection
from runner.serve.requests import problem
from runner.serve.run_pages import download, run_page
from runner.serve.site import Site


def application(site: Site, hosts: Iterable[str], *, any_address: bool) -> Protection:
    """Return the application over a folder.

    Args:
        site: Its state.
        hosts: As of `Protection`.
        any_address: Likewise.
    """
    app = Starlette(routes=_ROUTES, exception_handlers={HTTPException: _http_problem})
    app.state.site = site
    app.state.watched = Watched(site)
    return Protection(_counting(app, site), hosts, any_address=any_address)


def _counting(app: ASGIApp, site: Site) -> ASGIApp:
    """Return an application that counts its requests in the site's state."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        site.requests += 1
        site.asked_at = time.monotonic()
        try:
            await app(scope, receive, send)
        finally:
            site.requests -= 1
            if scope.get("method") == "GET" and scope["path"].startswith("/run/"):
                site.owed = max(0, site.owed - 1)
            site.asked_at = time.monotonic()

    return counted


async def _static(request: Request) -> Response:
    name = str(request.path_params["name"])
    content = await trio.to_thread.run_sync(assets.content, name)
    if content is None:
        return problem(request, 404, "There is no such file")
    kind = assets.TYPES[name.rpartition(".")[2]]
    # the address has a digest of the content
    return Response(content, media_type=kind, headers={"Cache-Control": "max-age=86400, immutable"})


async def _no_icon(request: Request) -> Response:
    """Say to browsers, which ask for one of every page, that there is no icon."""
    del request
    return Response(status_code=204)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    heading = "There is no such page" if error.status_code == 404 else str(error.detail)
    return problem(request, error.status_code, heading)


_ROUTES = [
    Route("/", list_page),
    Route("/run/{path:any}", run_page),
    Route("/download/{kind}/{path:any}", download),
    Route("/compare", compare_page),
    Route("/history", history_page),
    Route("/events", events),
    *LIVE_ROUTES,
    Route("/static/{name}", _static),
    Route("/favicon.ico", _no_icon),
]
