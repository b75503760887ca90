"""Exit statuses of hub and agents: an engine shows them for a task that has ended."""

from __future__ import annotations

import signal
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
_BY_SIGNAL: Final = 128
"""What engines add to the number of the signal that ended a program."""
_SIGNALS: Final = {one.value: f"it was ended by {one.name}" for one in signal.Signals}


def how_ended(status: int) -> str:
    """Return how a program has ended, as a clause.

    Args:
        status: As an engine reports it, or negative for the number of a signal.
    """
    number = status - _BY_SIGNAL if status > _BY_SIGNAL else -status
    meaning = MEANINGS.get(status) or _SIGNALS.get(number, "")
    return f"its program exited with {status}" + (f": {meaning}" if meaning else "")
