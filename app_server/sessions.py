"""The service's work: creates sessions, and uses the configured CPU time and memory."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_LIFETIME: Final = timedelta(minutes=30)
_SLOTS_PER_KIB: Final = 121
"""A list of that many slots takes 1 KiB, with its own header and the collector's."""


class SessionStore:
    """The newest sessions by id; beyond `limit` the least recently used one is dropped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sessions: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def create(self) -> dict[str, Any]:
        """Return a new session: id, timestamps in UTC, and a payload."""
        now = datetime.now(UTC)
        token = secrets.token_hex(16)
        session = {
            "id": token,
            "created_at": now.isoformat(),
            "expires_at": (now + _LIFETIME).isoformat(),
            "payload": {
                "user": {"id": int(token[:8], 16), "name": "guest", "roles": ["reader"]},
                "preferences": {"language": "en", "theme": "light"},
                "cart": [],
            },
        }
        self._sessions[token] = session
        if len(self._sessions) > self._limit:
            self._sessions.popitem(last=False)
        return session

    def find(self, token: str) -> dict[str, Any] | None:
        """Return the session with this id, which counts as a use of it; None if there is none."""
        session = self._sessions.get(token)
        if session is not None:
            self._sessions.move_to_end(token)
        return session


def burn(work_us: int) -> None:
    """Use that much CPU time of this thread; time spent waiting for a CPU does not count."""
    until = time.thread_time_ns() + work_us * 1000
    while time.thread_time_ns() < until:
        pass


def litter(alloc_kb: int) -> None:
    """Leave that many KiB of garbage, which only the cycle collector can free."""
    ring: list[Any] | None = None
    first: list[Any] = []
    for _ in range(alloc_kb):
        ring = [ring] * _SLOTS_PER_KIB
        first = first or ring
    if ring is not None:
        first[0] = ring
