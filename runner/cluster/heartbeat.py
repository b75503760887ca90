"""Tells an agent's processes that the agent lives: one that is stopped cannot end them itself.

The agent writes into a page of memory that it shares with its processes; to look at it costs them nothing.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Mapping
from typing import Final, Self

from runner.cluster.silence import AGENT_SILENT_S, HUB_SILENT_S, Silence
from runner.core.units import Nanoseconds, Seconds, ns

VARIABLE: Final = "LOADPROOF_HEARTBEAT"
"""Environment variable of a process with the number of its file descriptor."""
AGENT_WAS_SILENT: Final = 75
"""Exit status of a process that ended because its agent was silent."""
BEATS_FOR_NS: Final[Nanoseconds] = ns(HUB_SILENT_S - AGENT_SILENT_S)
"""An agent that heard nothing of the hub for so long does not beat: its processes end with the hub's loss."""

_BYTES: Final = 8


class Heartbeat:
    """An agent's side.

    Attributes:
        fd: To be passed to its processes.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("heartbeat")
        os.ftruncate(self.fd, _BYTES)
        self._memory = mmap.mmap(self.fd, _BYTES)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment."""
        return {VARIABLE: str(self.fd)}

    def beat(self) -> None:
        """Tell the processes that the agent lives."""
        self._memory[:] = time.monotonic_ns().to_bytes(_BYTES, "little")

    def close(self) -> None:
        """Close it; processes keep theirs, which is silent from now on."""
        self._memory.close()
        os.close(self.fd)


class AgentWatch:
    """The side of an agent's process; `is_silent` must be called several times a second.

    Args:
        fd: Of the heartbeat.
        limit_s: From which an agent counts as silent.
    """

    def __init__(self, fd: int, limit_s: Seconds = AGENT_SILENT_S) -> None:
        self._memory = mmap.mmap(fd, _BYTES, prot=mmap.PROT_READ)
        self._silence = Silence(limit_s)
        self._last = self._memory[:]

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Return the watch of a process with this environment; None for one that no agent has started."""
        return cls(int(environ[VARIABLE])) if VARIABLE in environ else None

    def is_silent(self) -> bool:
        """Return whether the agent has not beaten for too long."""
        beat = self._memory[:]
        if beat != self._last:
            self._last = beat
            self._silence.heard()
        return self._silence.look()
