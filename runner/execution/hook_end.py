"""How a hook ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.load.inputs import Constant


@dataclass(frozen=True, slots=True)
class HookEnd:
    """How a hook ended; nothing in it is masked yet.

    Attributes:
        reason: Why it failed, as a clause; empty if it did not.
        hint: What to do about a failure.
        lines: The end of its output, or what was sent and received.
        extracted: Name to value of what it took from a response.
        skipped: Whether it did not run, for want of a value.
    """

    reason: str = ""
    hint: str = ""
    lines: tuple[str, ...] = ()
    extracted: Mapping[str, Constant] = field(default_factory=dict, repr=False)
    skipped: bool = False
