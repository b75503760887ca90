"""Seconds of a stage from k6's running totals, corrected by its summary (pure).

While k6 runs, its totals are read once a second and split at whole seconds. k6 does not report when a request
was due, so each counts as due, sent and ended in the second in which it ended. The summary then corrects the
seconds: they stay as they were read as far as the exact totals allow, the window's last second takes what is
missing, and what arrived after the window goes into the drain.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from msgspec.structs import replace

from runner.core.compact import CompactList
from runner.core.load_facts import FAILURE_KINDS, LoadSecond
from runner.core.units import Seconds
from runner.load.k6.summary import Totals

REQUESTS: Final = "http_reqs"
DROPPED: Final = "dropped_iterations"
WARMUP_FAILED: Final = "warmup_failed"
FAILED: Final = {kind: f"failed_{kind}" for kind in FAILURE_KINDS}
LIVE_COUNTERS: Final = (REQUESTS, DROPPED, WARMUP_FAILED, *FAILED.values())
"""The counters to read once a second."""


@dataclass(slots=True)
class Timeline:
    """Converts readings of running totals into seconds.

    Attributes:
        warmup_s: Length of the warm-up; the totals are 0 when it begins.
        seconds: The complete seconds so far, in order.
    """

    warmup_s: Seconds
    seconds: CompactList[LoadSecond] = field(default_factory=partial(CompactList, LoadSecond))
    _read_at_s: Seconds = 0.0
    _read: Mapping[str, int] = field(default_factory=dict)
    _counted: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start at the warm-up."""
        self._read_at_s = -self.warmup_s

    def read(self, t_s: Seconds, totals: Mapping[str, int]) -> list[LoadSecond]:
        """Add a reading, later than the last one.

        Args:
            t_s: Seconds since the measured window began.
            totals: `LIVE_COUNTERS` at that time.

        Returns:
            The seconds that are complete now. Totals are interpolated linearly between two readings, so a
            missed reading causes neither a gap nor a peak.
        """
        totals = _apart(totals)
        complete = []
        for index in range(math.floor(self._read_at_s), math.floor(t_s)):
            share = (index + 1 - self._read_at_s) / (t_s - self._read_at_s)
            reached = {name: self._between(name, totals[name], share) for name in totals}
            grown = {name: max(0, reached[name] - self._counted.get(name, 0)) for name in totals}
            complete.append(_second(index, grown))
            self._counted = reached
        self._read_at_s, self._read = t_s, dict(totals)
        for second in complete:
            self.seconds.append(second)
        return complete

    def _between(self, name: str, now: int, share: float) -> int:
        before = self._read.get(name, 0)
        return before + math.floor((now - before) * share)


def _apart(totals: Mapping[str, int]) -> dict[str, int]:
    """Return totals without the failed requests in that of all, so that each can be split by itself."""
    failed = sum(totals[name] for name in (WARMUP_FAILED, *FAILED.values()))
    return {**totals, REQUESTS: max(0, totals[REQUESTS] - failed)}


def corrected(live: Iterable[LoadSecond], totals: Totals, window_s: Seconds) -> tuple[LoadSecond, ...]:
    """Return the stage's seconds, whose sums are exactly the summary's totals; likewise of each request.

    k6 reports no request by second: each second has the request's share of it.

    Args:
        live: The seconds read while k6 ran; may be empty or end early.
        totals: From k6's summary.
        window_s: Length of the measured window.
    """
    kept = tuple(live)
    whole = _corrected(kept, totals, window_s)
    parts = {name: _of_part(kept, own, totals, window_s) for name, own in totals.parts.items()}
    return tuple(
        replace(second, parts={name: own[second.index] for name, own in parts.items() if second.index in own})
        for second in whole
    )


def _of_part(
    live: Sequence[LoadSecond], own: Totals, totals: Totals, window_s: Seconds
) -> dict[int, LoadSecond]:
    """Return index to second of one request; its window's last second takes what is not in the others."""
    share = own.sent / totals.sent if totals.sent else 0.0
    last = math.ceil(window_s) - 1
    scaled = [_scaled(second, share) for second in live if 0 <= second.index < last]
    return {second.index: second for second in _corrected(scaled, own, window_s)}


def _scaled(second: LoadSecond, share: float) -> LoadSecond:
    return LoadSecond(
        second.index,
        succeeded=math.floor(second.succeeded * share),
        dropped=math.floor(second.dropped * share),
        failures={kind: math.floor(count * share) for kind, count in second.failures.items()},
        completed=math.floor(second.completed * share),
    )


def _corrected(live: Sequence[LoadSecond], totals: Totals, window_s: Seconds) -> tuple[LoadSecond, ...]:
    known = {second.index: second for second in live}
    last = math.ceil(window_s) - 1
    before = [known.get(index, LoadSecond(index)) for index in range(last)]
    failures, left = _failures([*before, known.get(last)], totals.failures)
    succeeded = _fill([second.succeeded for second in before], totals.succeeded - totals.late)
    completed = _fill([second.completed for second in before], totals.completed)
    dropped = _fill([second.dropped for second in before], totals.dropped)
    ended = [good + sum(bad.values()) for good, bad in zip(succeeded, failures, strict=True)]
    sent = _fill(ended[:last], totals.sent)
    window = [
        LoadSecond(
            index,
            scheduled=sent[index] + dropped[index],
            sent=sent[index],
            succeeded=succeeded[index],
            dropped=dropped[index],
            failures=failures[index],
            completed=completed[index],
        )
        for index in range(last + 1)
    ]
    # k6 counts statuses for the whole window only
    window[last] = replace(window[last], statuses=dict(totals.statuses))
    drain = LoadSecond(last + 1, succeeded=totals.late, completed=totals.late, failures=left)
    warmup = [second for second in known.values() if second.index < 0]
    return (*warmup, *window, *([drain] if totals.late or left else []))


def _second(index: int, grown: Mapping[str, int]) -> LoadSecond:
    """Return a second from the growth of totals that are `_apart`; of the warm-up only successes are kept."""
    failures = {kind: grown[name] for kind, name in FAILED.items() if grown[name]}
    failed = sum(failures.values())
    good = grown[REQUESTS]
    if index < 0:
        return LoadSecond(index, completed=good)
    dropped = grown[DROPPED]
    return LoadSecond(
        index,
        scheduled=good + failed + dropped,
        sent=good + failed,
        succeeded=good,
        dropped=dropped,
        failures=failures,
        completed=good,
    )


def _failures(
    seconds: Sequence[LoadSecond | None], totals: Mapping[str, int]
) -> tuple[list[dict[str, int]], dict[str, int]]:
    """Return failures by second, and those after them; an unknown second takes all that are left."""
    left = dict(totals)
    by_second = []
    for second in seconds:
        here = left if second is None else {k: min(n, left.get(k, 0)) for k, n in second.failures.items()}
        by_second.append({kind: count for kind, count in here.items() if count})
        left = {kind: count - here.get(kind, 0) for kind, count in left.items()}
    return by_second, {kind: count for kind, count in left.items() if count}


def _fill(counts: Iterable[int], total: int) -> list[int]:
    """Return these counts as far as the total reaches, then the rest of the total."""
    filled = []
    for count in counts:
        filled.append(min(count, total))
        total -= filled[-1]
    return [*filled, total]
