"""Reads JSON of strangers, so that everything that visits it afterwards can be recursive."""

from __future__ import annotations

from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 100


def decoded(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is no JSON, or is nested deeper than `MAX_DEPTH` levels; says which.
    """
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for one in level for item in _items(one) if isinstance(item, dict | list)]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _items(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
