"""Recognises what a file is by its content, and reads it into a draft."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from runner.core.units import BYTES_PER_MIB, Bytes
from runner.importers.access_log import draft_of_log, is_access_log
from runner.importers.draft import Draft
from runner.importers.errors import refused, unreadable
from runner.importers.har import draft_of_har
from runner.importers.json_text import decoded
from runner.importers.openapi import draft_of_openapi
from runner.importers.postman import draft_of_collection
from runner.importers.yaml_reader import read_yaml

MAX_FILE: Final[Bytes] = 128 * BYTES_PER_MIB
"""How large a file may be, unpacked too."""

_GZIP: Final = b"\x1f\x8b"
_LOOKED_AT: Final = 100_000
_YAML: Final = re.compile(rb"""^["']?(?:openapi|swagger)["']? *:""", re.MULTILINE)
_TEXT: Final = "a HAR file, an OpenAPI 3 document, a Postman collection or an access log of nginx or Apache"


def draft_of(content: bytes) -> Draft:
    """Return what a file says about the traffic of a service.

    Args:
        content: Of the file, which may be packed with gzip.

    Raises:
        UsageError: It is none of the known kinds, or is damaged or too large.
    """
    content = _unpacked(content).removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise refused("it is empty")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refused("it is not UTF-8", hint="save it as UTF-8")
    if content.lstrip()[:1] == b"{":
        return _draft_of_json(content)
    if is_access_log(content):
        return draft_of_log(content)
    if _YAML.search(content[:_LOOKED_AT]):
        return draft_of_openapi(read_yaml(content))
    raise refused("it is none of the known kinds", hint=f"give {_TEXT}")


def _unpacked(content: bytes) -> bytes:
    if not content.startswith(_GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MAX_FILE + 1)
    except EOFError:
        raise refused("it is damaged: its gzip data end too early") from None
    except (OSError, zlib.error):
        raise refused("it is damaged: its gzip data cannot be unpacked") from None
    if len(unpacked) > MAX_FILE:
        hint = "take a part of it, such as: zcat FILE | tail -n 500000 > part.log"
        raise refused(f"it is larger than {MAX_FILE // BYTES_PER_MIB} MiB when unpacked", hint)
    return unpacked


def _draft_of_json(content: bytes) -> Draft:
    try:
        keys = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        hint = "of logs, only the formats common and combined are known" if _is_json_lines(content) else ""
        raise unreadable(error, "JSON", hint) from None
    for key, reader in _READERS.items():
        if key in keys:
            return reader(content, keys)
    raise refused("it is JSON, but of no known kind", hint=f"give {_TEXT}")


def _is_json_lines(content: bytes) -> bool:
    first, _, rest = content[:100_000].partition(b"\n")
    try:
        decoded(first)
    except ValueError:
        return False
    return bool(rest.strip())


def _har(content: bytes, keys: Mapping[str, msgspec.Raw]) -> Draft:
    del content
    return draft_of_har(bytes(keys["log"]))


def _openapi(content: bytes, keys: Mapping[str, msgspec.Raw]) -> Draft:
    del keys
    try:
        document = decoded(content)
    except ValueError as error:
        raise refused(f"it is no valid JSON: {error}") from None
    return draft_of_openapi(document)


def _collection(content: bytes, keys: Mapping[str, msgspec.Raw]) -> Draft:
    del keys
    return draft_of_collection(content)


_READERS: Final[Mapping[str, Callable[[bytes, Mapping[str, msgspec.Raw]], Draft]]] = {
    "log": _har,
    "item": _collection,
    "openapi": _openapi,
    "swagger": _openapi,
}
"""Key at the top of a document to what reads it."""
