"""Bodies of recorded requests: JSON, forms, forms with files, or text."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from runner.importers.draft import Body, Part
from runner.importers.json_text import decoded

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
FILE_CONTENT: Final = "content of the file"
"""Stands for the content of a file, which recordings do not have."""

_JSON: Final = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json|text/json", re.IGNORECASE)
_BOUNDARY: Final = re.compile(r'boundary="?([^";]{1,100})', re.IGNORECASE)
_NAME: Final = re.compile(r'(?<![a-z])name="([^"\r\n]{0,200})"', re.IGNORECASE)
_FILENAME: Final = re.compile(r'filename="([^"\r\n]{0,200})"', re.IGNORECASE)
_CONTENT_TYPE: Final = re.compile(r"^content-type: *([^\r\n;]{1,100})", re.IGNORECASE | re.MULTILINE)
_MAX_PARTS: Final = 100


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_json(content_type: str) -> bool:
    """Return whether a Content-Type says JSON."""
    return _JSON.fullmatch(media_type(content_type)) is not None


def body_of(text: str, content_type: str) -> Body | None:
    """Return a body by what it contains; None for an empty one.

    A body that is not what its type says is taken as text.
    """
    if not text:
        return None
    kind = media_type(content_type)
    try:
        if is_json(kind):
            return Body("json", decoded(text))
        if kind == FORM:
            return Body("form", _fields(text))
        if kind == MULTIPART:
            return Body("multipart", _parts(text, content_type))
    except ValueError:
        pass
    return Body("body", text)


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of a form; ValueError if it is none."""
    pairs = tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict"))
    if not all(name for name, _ in pairs):
        raise ValueError("a field has no name")
    return pairs


def _parts(text: str, content_type: str) -> tuple[Part, ...]:
    """Return the parts of a multipart body; ValueError if it is no such body."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("it has no boundary")
    parts = []
    for piece in text.split(f"--{boundary[1]}", _MAX_PARTS + 1)[1:-1]:
        head, _, value = piece.lstrip("\r\n").replace("\r\n", "\n").partition("\n\n")
        name, filename = _NAME.search(head), _FILENAME.search(head)
        if name is None or not name[1]:
            raise ValueError("a part has no name")
        kind = _CONTENT_TYPE.search(head)
        content = FILE_CONTENT if filename else value.removesuffix("\n")
        own = filename[1] if filename else ""
        parts.append(Part(name[1], content, own, kind[1].strip() if kind else ""))
    if not parts:
        raise ValueError("it has no parts")
    return tuple(parts)
