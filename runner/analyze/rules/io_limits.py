"""Limits of I/O that control groups have, and how much of them a part of the system used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.analyze.kernel_counters import counters_with_prefix, per_second
from runner.analyze.rules.types import OWN_BOUND
from runner.core.findings import Evidence
from runner.core.stage_results import Stage
from runner.core.units import BYTES_PER_MIB

LIMIT_USED: Final = 0.9
"""Share of a limit from which it is used up; the kernel lets short bursts pass it. Our own bound."""
_PREFIX: Final = "io.limited."
_NAME: Final = re.compile(r"io\.limited\.(.+)\.(read_bytes|written_bytes|reads|writes)")
_VERBS: Final = {"read_bytes": "read", "written_bytes": "wrote", "reads": "did", "writes": "did"}


@dataclass(frozen=True, slots=True)
class UsedLimit:
    """A limit on what a part may read from or write to a device in a second.

    Attributes:
        part: The subject's name.
        device: Such as ``sda``.
        what: ``read_bytes``, ``written_bytes``, ``reads`` or ``writes``.
        per_s: How much it did.
        limit: How much it may do.
    """

    part: str
    device: str
    what: str
    per_s: float
    limit: float

    @property
    def share(self) -> float:
        """Share of the limit that was used; bursts can exceed it."""
        return self.per_s / self.limit

    @property
    def is_used_up(self) -> bool:
        """Whether the part did about as much as it may."""
        return self.share >= LIMIT_USED

    def describe(self) -> str:
        """Return what the part did, as a sentence without capital and full stop."""
        unit, scale = ("MiB", BYTES_PER_MIB) if self.what.endswith("bytes") else (self.what, 1)
        used, limit = (f"{value / scale:,.3g}" for value in (self.per_s, self.limit))
        device = f"{'from' if self.what.startswith('read') else 'to'} device {self.device}"
        return (
            f"{self.part} {_VERBS[self.what]} {used} {unit}/s {device}, where its control group may do no "
            f"more than {limit} {unit}/s"
        )

    def evidence(self) -> Evidence:
        """Return what it did against what it may do."""
        kind = "bytes" if self.what.endswith("bytes") else self.what
        name = f"{self.what.replace('_', ' ')} of {self.part}, device {self.device}"
        return Evidence(name, self.per_s, f"{kind}/s", LIMIT_USED * self.limit, OWN_BOUND)


def most_used_limit(stage: Stage, part: str) -> UsedLimit | None:
    """Return the limit of which a part used the largest share; None if it has none."""
    return max(_limits(stage, part), key=lambda it: it.share, default=None)


def _limits(stage: Stage, part: str) -> Iterator[UsedLimit]:
    for counter in counters_with_prefix(stage, _PREFIX):
        name = _NAME.fullmatch(counter.name)
        if counter.scope == part and name and counter.limit:
            yield UsedLimit(part, name[1], name[2], per_second(stage, counter), counter.limit)
