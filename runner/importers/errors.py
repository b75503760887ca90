"""The error for a file that cannot be imported."""

from __future__ import annotations

from runner.core.errors import UsageError
from runner.experiment.suggestions import harmless

_MAX_REASON = 300


def refused(reason: object, hint: str = "") -> UsageError:
    """Return an error about the file; its name is added where it is known.

    Args:
        reason: A phrase without a full stop.
        hint: What to do, or what else is known; text of strangers in both is made safe.
    """
    return UsageError(harmless(str(reason))[:_MAX_REASON], hint=harmless(hint)[:_MAX_REASON])
