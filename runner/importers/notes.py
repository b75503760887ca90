"""Collects what could not be taken over: one line for each reason, with the first things that it is about."""

from __future__ import annotations

from typing import Final

_MOST_NAMED: Final = 4
_MAX_LABEL: Final = 60


class Notes:
    """Lines about a file."""

    def __init__(self) -> None:
        self._labels: dict[str, dict[str, int]] = {}

    def add(self, reason: str, label: str, times: int = 1) -> None:
        """Note something.

        Args:
            reason: Why, without a full stop; those with the same reason share a line.
            label: What: ``GET /logo.png``.
            times: How often.
        """
        short = label if len(label) <= _MAX_LABEL else f"{label[: _MAX_LABEL - 1]}…"
        counts = self._labels.setdefault(reason, {})
        counts[short] = counts.get(short, 0) + times

    def lines(self) -> tuple[str, ...]:
        """Return a line for each reason, in the order in which they came up."""
        return tuple(_line(reason, counts) for reason, counts in self._labels.items())


def _line(reason: str, counts: dict[str, int]) -> str:
    first = sorted(counts.items(), key=lambda item: -item[1])[:_MOST_NAMED]
    named = ", ".join(label if times == 1 else f"{label} ({times:,} times)" for label, times in first)
    rest = sum(counts.values()) - sum(times for _, times in first)
    return f"{reason}: {named}{f', and {rest:,} more' if rest else ''}"
