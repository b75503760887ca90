"""JSON of any text: names of files and variables need not be UTF-8, and JSON is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Python stands by one for a byte that is no UTF-8."""


def readable(text: str) -> str:
    """Return a text that can be encoded: what is no UTF-8 becomes U+FFFD."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def encode_json(value: object, enc_hook: Callable[[Any], Any] | None = None) -> bytes:
    """Return JSON on one line, as msgspec does, with every text made readable."""
    try:
        return msgspec.json.encode(value, enc_hook=enc_hook)
    except UnicodeEncodeError:
        return msgspec.json.encode(_readable(msgspec.to_builtins(value, enc_hook=enc_hook)))


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, dict):
        return {_readable(key): _readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(item) for item in value]
    return value
