"""URLs of a file: which service they belong to, and the path and query of a request."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import TypeAdapter, ValidationError

from runner.experiment.url import HttpUrl

_AS_THEY_ARE: Final = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
_URL: Final = TypeAdapter[str](HttpUrl)
_PORTS: Final = {"http": 80, "https": 443}
_MAX_URL: Final = 8000


class Target(NamedTuple):
    """What a URL names.

    Attributes:
        origin: ``https://shop.example.com``, without a port that is the scheme's own.
        path: Percent-encoded; with the query where that has no proper pairs.
        query: Its pairs, decoded.
    """

    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = ()


def target_of(url: str) -> Target | None:
    """Return what an http or https URL names; None for any other text."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host or len(url) > _MAX_URL or not host.isascii():
        return None
    host = f"[{host}]" if ":" in host else host
    ending = "" if port in {None, _PORTS[parts.scheme]} else f":{port}"
    origin = f"{parts.scheme}://{host}{ending}"
    path, query = path_and_query(parts.path or "/", parts.query)
    return Target(origin, path, query) if _is_usable(origin) else None


@lru_cache(maxsize=1024)
def _is_usable(origin: str) -> bool:
    """Return whether a specification can have an origin as its URL."""
    try:
        _URL.validate_python(origin)
    except ValidationError:
        return False
    return True


def path_and_query(path: str, query: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return a path that can be sent, and the pairs of a query, decoded.

    A query with other things than pairs, or in another encoding than UTF-8, becomes part of the path.
    """
    path = quote(path if path.startswith("/") else f"/{path}", safe=_AS_THEY_ARE)
    if not query:
        return path, ()
    try:
        pairs = tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        return f"{path}?{quote(query, safe=_AS_THEY_ARE)}", ()
    return path, pairs
