"""Exit statuses of hub and agents: an engine shows them for a task that has ended."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
NOT_ADMITTED: Final = 7
"""An agent could not reach the hub, or was not admitted."""
HUB_GONE: Final = 8
"""An agent's connection to the hub has ended, or the hub was silent."""
EXPIRED: Final = 9
"""The run takes longer than its order allows."""

MEANINGS: Final = {
    FAILED: "it failed",
    MISUSED: "its order cannot be read",
    NOT_ADMITTED: "it could not join the hub",
    HUB_GONE: "it no longer heard the hub",
    EXPIRED: "the time of its order was over",
}
