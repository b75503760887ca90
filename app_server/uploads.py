"""Resumable uploads as in the tus protocol (version 1.0.0): create, send pieces, ask how much arrived."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app_server.bodies import body_of, refused
from app_server.kept import Kept

_PATH: Final = "/uploads"
_MAX_BYTES: Final = 1024 * 1024
_PIECE_TYPE: Final = "application/offset+octet-stream"
_RESUMABLE: Final = {"tus-resumable": "1.0.0"}


@dataclass(slots=True)
class _Upload:
    """A file that arrives in pieces; `length` is its size in bytes."""

    length: int
    content: bytearray = field(default_factory=bytearray)

    @property
    def headers(self) -> dict[str, str]:
        return _RESUMABLE | {"upload-offset": str(len(self.content)), "upload-length": str(self.length)}


class Uploads:
    """The files.

    Args:
        limit: How many are kept, each of at most 1 MiB.
        counts: Where what happened is counted.
    """

    def __init__(self, limit: int, counts: Counter[str]) -> None:
        self._uploads: Kept[_Upload] = Kept(limit)
        self._counts = counts

    def routes(self) -> list[Route]:
        """Return where it responds."""
        one = f"{_PATH}/{{id}}"
        return [
            Route(_PATH, self._create, methods=["POST"]),
            Route(one, self._describe),
            Route(one, self._append, methods=["PATCH"]),
        ]

    async def _create(self, request: Request) -> Response:
        length = _number(request.headers.get("upload-length"))
        if not 0 < length <= _MAX_BYTES:
            return self._refuse(400, f"Upload-Length should be from 1 to {_MAX_BYTES}")
        key = self._uploads.add(upload := _Upload(length))
        self._counts["uploads_created"] += 1
        where = str(request.url.replace(path=f"{_PATH}/{key}", query=""))
        return Response(status_code=201, headers={"location": where, **upload.headers})

    async def _describe(self, request: Request) -> Response:
        """Respond with how much arrived; for GET, also with the digest of what arrived."""
        upload = self._uploads.get(request.path_params["id"])
        if upload is None:
            return self._refuse(404, "no such upload")
        digest = hashlib.sha256(upload.content).hexdigest()
        described = {"bytes": len(upload.content), "length": upload.length, "sha256": digest}
        return JSONResponse(described, headers=upload.headers)

    async def _append(self, request: Request) -> Response:
        upload = self._uploads.get(request.path_params["id"])
        if upload is None:
            return self._refuse(404, "no such upload")
        if request.headers.get("content-type") != _PIECE_TYPE:
            return self._refuse(415, f"Content-Type should be {_PIECE_TYPE}")
        piece = await body_of(request, upload.length - len(upload.content))
        if _number(request.headers.get("upload-offset")) != len(upload.content):
            return self._refuse(409, f"Upload-Offset should be {len(upload.content)}", "uploads_bad_offsets")
        if not piece:
            return self._refuse(400, "the piece is empty, or longer than what is missing")
        upload.content += piece
        self._counts["uploads_pieces"] += 1
        self._counts["uploads_bytes"] += len(piece)
        self._counts["uploads_completed"] += len(upload.content) == upload.length
        return Response(status_code=204, headers=upload.headers)

    def _refuse(self, status: int, why: str, count: str = "uploads_refused") -> Response:
        self._counts[count] += 1
        return refused(status, why, _RESUMABLE)


def _number(text: str | None) -> int:
    """Return a whole number of at most nine digits; -1 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else -1
