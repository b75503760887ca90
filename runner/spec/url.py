"""Where an external service answers: plain ``http://host[:port][/path]`` and nothing else."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from runner.spec.fields import Text
from runner.spec.part import complaint
from runner.spec.words import shown

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})?|\[[0-9A-Fa-f:.]{2,45}\]")


def _http_url(url: str) -> str:
    """The URL unchanged.

    Raises:
        PydanticCustomError: It is not plain ``http://host[:port][/path]``.
    """
    if url.startswith("https:"):
        raise complaint("https is not available yet in this version", "use http")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise complaint(f"should be an ASCII URL without spaces, not {shown(url)}")
    if not url.startswith("http://"):
        hint = f"did you mean {shown('http://' + url)}?" if "://" not in url else ""
        raise complaint(f"should begin with 'http://', not {shown(url)}", hint)
    _check_parts(url)
    return url


def _check_parts(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise complaint(f"is no URL ({error}): {shown(url)}") from None
    if "@" in parts.netloc:
        raise complaint("should hold no user name or password", "send credentials in load.request.headers")
    if "?" in url or "#" in url:
        raise complaint("should hold no query and no fragment", "put the query into load.request.path")
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
    if port == 0 or not _HOST.fullmatch(host):
        raise complaint(f"should be http://HOST:PORT, not {shown(url)}")


HttpUrl: TypeAlias = Annotated[
    Text,
    AfterValidator(_http_url),
    Field(max_length=2000, json_schema_extra={"pattern": "^http://[^@?# ]+$"}),
]
