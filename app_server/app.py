"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app_server.identity import Identity
from app_server.notes import Notes
from app_server.sessions import SessionStore, burn, litter
from app_server.settings import Settings
from app_server.shop import Shop
from app_server.store import Store
from app_server.telemetry import Telemetry
from app_server.uploads import Uploads

_NO_STORE: Final = {"cache-control": "no-store"}
_FLOWS: Final = (Identity, Store, Notes, Uploads)
"""What users do in several steps; each counts what happened."""


def create_app(settings: Settings) -> ASGIApp:
    """Return a new service with sessions and counters of its own."""
    store = SessionStore(settings.sessions)
    telemetry = Telemetry(sessions=lambda: len(store))
    registry = telemetry.registry()
    counts: Counter[str] = Counter()

    async def create_session(_request: Request) -> Response:
        burn(settings.work_us)
        litter(settings.alloc_kb)
        return JSONResponse(store.create(), headers=_NO_STORE)

    async def find_session(request: Request) -> Response:
        session = store.find(request.path_params["id"])
        if session is None:
            return JSONResponse({"error": "no such session"}, status_code=404)
        return JSONResponse(session, headers=_NO_STORE)

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def all_counts(_request: Request) -> Response:
        return JSONResponse(dict(sorted(counts.items())), headers=_NO_STORE)

    routes = [
        Route("/session", create_session),
        Route("/session/{id}", find_session),
        Route("/healthz", health),
        Route("/metrics", metrics),
        Route("/counts", all_counts),
        *Shop(settings.sessions, settings.token).routes(),
        *(route for kind in _FLOWS for route in kind(settings.sessions, counts).routes()),
    ]
    return _Counted(Starlette(routes=routes, lifespan=lambda _: telemetry.watching()), telemetry)


class _Counted:
    """Counts requests to an application; in plain ASGI, because it runs for every request."""

    _PATHS: Final = frozenset(
        {
            *("/session", "/healthz", "/metrics", "/counts"),
            *("/products", "/search", "/login", "/orders"),
            *("/oidc/authorize", "/oidc/login", "/oidc/token", "/oidc/userinfo"),
            *("/store/items", "/store/cart", "/store/cart/lines", "/store/payment"),
            *("/notes", "/uploads"),
        }
    )
    _WITH_ID: Final = ("/session/", "/products/", "/orders/", "/store/items/", "/notes/", "/uploads/")

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        telemetry = self._telemetry
        telemetry.in_flight += 1
        try:
            await self._app(scope, receive, note_status)
        except asyncio.CancelledError:
            pass  # the service is shutting down, and this client would not read its response
        finally:
            telemetry.in_flight -= 1
            telemetry.requests[self._label(scope["path"]), status] += 1

    def _label(self, path: str) -> str:
        """Return a label for a path, one of a few, so that clients cannot create many."""
        if path in self._PATHS:
            return path
        return next((f"{begin}{{id}}" for begin in self._WITH_ID if path.startswith(begin)), "other")
