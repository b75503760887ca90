"""The event that started a CI job, a JSON file whose path the CI system provides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runner.core.units import BYTES_PER_MIB
from runner.store.bounded_read import NotReadable, read_bounded

_MAX_BYTES: Final = 32 * BYTES_PER_MIB


def read_event(path: str) -> Mapping[str, object]:
    """Return the event in a file; empty if the path is empty, or the file contains no event."""
    if not path:
        return {}
    try:
        event = json.loads(read_bounded(Path(path), _MAX_BYTES, "an event"))
    except (NotReadable, ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def value_at(data: object, *keys: str) -> object:
    """Return a value of an event, at this path of keys; None if there is none."""
    for key in keys:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data
