"""Notes to create, read, update and delete; an update responds with 200, 202 and 204 in turn."""

from __future__ import annotations

from collections import Counter
from itertools import count, cycle
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app_server.bodies import json_of, refused
from app_server.kept import Kept

_PATH: Final = "/notes"
_NO_CONTENT: Final = 204


class Notes:
    """The notes.

    Args:
        limit: How many are kept.
        counts: Where what happened is counted.
    """

    def __init__(self, limit: int, counts: Counter[str]) -> None:
        self._notes: Kept[dict[str, Any]] = Kept(limit)
        self._ids = count(1)
        self._statuses = cycle((200, 202, _NO_CONTENT))
        self._counts = counts

    def routes(self) -> list[Route]:
        """Return where it responds."""
        one = f"{_PATH}/{{id}}"
        return [
            Route(_PATH, self._create, methods=["POST"]),
            Route(one, self._get),
            Route(one, self._update, methods=["PUT"]),
            Route(one, self._delete, methods=["DELETE"]),
        ]

    async def _create(self, request: Request) -> Response:
        text = await _text_of(request)
        if text is None:
            return self._refuse(422, "text is missing")
        note = {"id": next(self._ids), "text": text}
        self._notes.add(note, str(note["id"]))
        self._counts["notes_created"] += 1
        return JSONResponse(note, status_code=201, headers={"location": f"{_PATH}/{note['id']}"})

    async def _get(self, request: Request) -> Response:
        note = self._notes.get(request.path_params["id"])
        if note is None:
            return self._refuse(404, "no such note")
        self._counts["notes_read"] += 1
        return JSONResponse(note)

    async def _update(self, request: Request) -> Response:
        note, text = self._notes.get(request.path_params["id"]), await _text_of(request)
        if note is None or text is None:
            return self._refuse(404 if note is None else 422, "no such note, or text is missing")
        note["text"] = text
        self._counts["notes_updated"] += 1
        status = next(self._statuses)
        return Response(status_code=status) if status == _NO_CONTENT else JSONResponse(note, status)

    async def _delete(self, request: Request) -> Response:
        if self._notes.take(request.path_params["id"]) is None:
            return self._refuse(404, "no such note")
        self._counts["notes_deleted"] += 1
        return Response(status_code=_NO_CONTENT)

    def _refuse(self, status: int, why: str) -> Response:
        self._counts["notes_refused"] += 1
        return refused(status, why)


async def _text_of(request: Request) -> str | None:
    body = await json_of(request)
    text = body.get("text") if isinstance(body, dict) else None
    return text if isinstance(text, str) else None
