"""The newest entries by key, so that clients cannot fill the memory."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Kept(Generic[V]):
    """Entries by key; beyond `limit` the oldest is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, V] = OrderedDict()

    def add(self, value: V, key: str = "") -> str:
        """Keep a value, and return its key: a new one that cannot be guessed if none is given."""
        key = key or secrets.token_hex(16)
        self._entries[key] = value
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
        return key

    def get(self, key: str) -> V | None:
        """Return the value of a key; None if there is none."""
        return self._entries.get(key)

    def take(self, key: str) -> V | None:
        """Remove a key and return its value; None if there is none."""
        return self._entries.pop(key, None)
