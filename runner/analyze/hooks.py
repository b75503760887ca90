"""What the hooks of a configuration did: one entry for each, however often it ran."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from statistics import median

from msgspec import UNSET

from runner.core.facts import HookFacts
from runner.core.load_results import HookSummary

_IN_ORDER = ("setup", "before_trial", "teardown")


def hook_summaries(facts: Iterable[HookFacts], configuration: str) -> tuple[HookSummary, ...]:
    """Return the hooks of a configuration that ran, in the order of the specification."""

    def place(one: HookFacts) -> tuple[int, int]:
        return _IN_ORDER.index(one.phase), one.number

    own = sorted((one for one in facts if one.configuration == configuration), key=place)
    return tuple(_summary(list(runs)) for _, runs in groupby(own, attrgetter("phase", "number")))


def _summary(runs: Sequence[HookFacts]) -> HookSummary:
    wrong = [one for one in runs if one.status != "done"]
    seconds = [one.seconds for one in runs]
    return HookSummary(
        phase=runs[0].phase,
        number=runs[0].number,
        what=runs[0].what,
        runs=len(runs),
        median_s=round(median(seconds), 3),
        longest_s=max(seconds),
        failed=len(wrong) or UNSET,
        status=wrong[-1].status if wrong else "done",
        reason=(wrong[-1].reason if wrong else "") or UNSET,
    )
