"""Bodies of requests and refusals, within bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MAX_BODY_BYTES: Final = 16 * 1024
_MAX_FIELDS: Final = 10


async def body_of(request: Request, limit: int = MAX_BODY_BYTES) -> bytes | None:
    """Return the body of a request; None if it is larger than `limit` bytes."""
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > limit:
            return None
    return content


async def form_of(request: Request) -> dict[str, str]:
    """Return the first value of each field of a form; none if it is too large or has too many."""
    content = await body_of(request) or b""
    try:
        fields = parse_qs(content.decode("ascii", "replace"), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


async def json_of(request: Request) -> object:
    """Return the decoded body; None if it is too large or no JSON."""
    try:
        body: object = json.loads(await body_of(request) or b"")
    except (ValueError, RecursionError):
        return None
    return body


def refused(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response to a request that is not accepted."""
    return JSONResponse({"error": why}, status_code=status, headers=headers)
