"""How long nothing was heard of another process, without the time in which this one did not run itself."""

from __future__ import annotations

import time
from typing import Final

from runner.core.units import NS_PER_S, Nanoseconds, Seconds, ns

LOOK_EVERY_S: Final[Seconds] = 0.25
HEARTBEAT_S: Final[Seconds] = 0.5
AGENT_SILENT_S: Final[Seconds] = 3
"""After which an agent is lost."""
HUB_SILENT_S: Final[Seconds] = 5
"""After which the hub is lost."""
NO_PING_S: Final[Seconds] = 10
"""After which an agent ends itself."""

_LATE_NS: Final[Nanoseconds] = NS_PER_S // 2


class Silence:
    """Measures a silence; `look` must be called every `LOOK_EVERY_S` seconds.

    When this process is stopped or starved it hears nothing either, and what was sent meanwhile is still to
    be read. Time between two looks beyond what is usual is therefore not counted.

    Args:
        limit_s: A silence of so long is too long.
    """

    def __init__(self, limit_s: Seconds) -> None:
        self._limit_ns = ns(limit_s)
        self._heard_ns = self._looked_ns = time.monotonic_ns()

    def heard(self) -> None:
        """Something was heard just now."""
        self._heard_ns = time.monotonic_ns()

    def look(self, now_ns: Nanoseconds | None = None) -> bool:
        """Return whether the silence is too long now.

        Args:
            now_ns: Of CLOCK_MONOTONIC; None to read it.
        """
        now = time.monotonic_ns() if now_ns is None else now_ns
        late = now - self._looked_ns - ns(LOOK_EVERY_S)
        if late > _LATE_NS:
            self._heard_ns = min(now, self._heard_ns + late)
        self._looked_ns = now
        return self.length_ns > self._limit_ns

    @property
    def length_ns(self) -> Nanoseconds:
        """How long it lasted at the last look."""
        return self._looked_ns - self._heard_ns
