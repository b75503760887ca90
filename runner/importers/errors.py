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


def unreadable(error: Exception, what: str, hint: str = "") -> UsageError:
    """Return why a JSON text cannot be read.

    Args:
        error: Of the decoder.
        what: The text should be, such as ``JSON``.
        hint: What to do, unless it is nested too deeply.
    """
    if isinstance(error, RecursionError):
        return refused(
            "it is nested too deeply", hint="give the part of it that you need as a file of its own"
        )
    return refused(f"it is no valid {what}: {error}", hint)
