"""What a stage, one request of it, or one slice of a ramp measured: counts, rate and latencies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import UNSET

from runner.analyze.achieved import achieved
from runner.analyze.latency import distribution, latency
from runner.analyze.statistics import rounded
from runner.analyze.variation import variation
from runner.core.facts import TrialFacts
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.measured import Measured, Requests
from runner.core.metrics import LATENCIES
from runner.core.ramp import Ramp
from runner.core.status_advice import OTHER_STATUSES
from runner.core.units import PerSecond, Seconds


class Offer(NamedTuple):
    """What a stage offered, or one request of a mix.

    Attributes:
        target_rps: Of a ramp, the average over the window; None in the closed model.
        ramp: How the rate changed over the window; None for a constant one.
        users: How many users there were, or how their number changed; None in the open model.
        users_per_s: Of scenarios in the open model: users started per second, or how that changed.
    """

    target_rps: PerSecond | None
    window_s: Seconds
    warmup_s: Seconds
    ramp: Ramp | None
    users: int | Ramp | None
    users_per_s: PerSecond | Ramp | None = None

    @property
    def level_ramp(self) -> Ramp | None:
        """How the rate, the rate of users or the number of users changed over the window."""
        ramps = (self.users, self.users_per_s, self.ramp)
        return next((ramp for ramp in ramps if isinstance(ramp, Ramp)), None)

    def until(self, end_s: Seconds) -> Offer:
        """Return what was offered until a time in the window, at which the stage was cut short."""
        share = end_s / self.window_s
        ramp = _cut(self.ramp, share)
        return self._replace(
            target_rps=ramp.mean if isinstance(ramp, Ramp) else self.target_rps,
            window_s=end_s,
            ramp=ramp,
            users=_cut(self.users, share),
            users_per_s=_cut(self.users_per_s, share),
        )

    @property
    def user_rate(self) -> PerSecond | None:
        """Users started per second; of a ramp, the average over the window."""
        return self.users_per_s.mean if isinstance(self.users_per_s, Ramp) else self.users_per_s

    @property
    def highest_rps(self) -> PerSecond | None:
        """The highest rate that was offered; None in the closed model."""
        return self.ramp.highest if self.ramp else self.target_rps

    def achieved(self, load: LoadFacts) -> float | None:
        """Return the share that the service sustained; None in the closed model, where no request is due."""
        if self.target_rps is None:
            return None
        return rounded(achieved(load, self.target_rps, self.window_s, self.warmup_s, self.ramp), 6)


def offer_of(facts: TrialFacts) -> Offer:
    """Return what a trial offered; of one that was cut short, until then."""
    lengths = (facts.window_s, facts.warmup_s)
    offer = Offer(facts.target_rps, *lengths, facts.ramp, facts.users, facts.users_per_s)
    ran_s = _ran_s(facts)
    return offer.until(ran_s) if 0 < ran_s < facts.window_s else offer


def _ran_s(facts: TrialFacts) -> Seconds:
    """Return how much of its window a stage ran that was cut short; all of it for others."""
    if facts.status == "complete" or facts.load is None or facts.load.complete:
        return facts.window_s
    return max((second.index + 1 for second in facts.load.seconds), default=0)


_L = TypeVar("_L")


def _cut(level: _L, share: float) -> _L:
    """Return a level, of a ramp its beginning."""
    return Ramp(level.begin, level.at(share)) if isinstance(level, Ramp) else level  # type: ignore[return-value]


def measured(load: LoadFacts | None, offer: Offer, *, varies: bool = False) -> Measured:
    """Return what was measured of a stage or of one request of it; without facts, that nothing was.

    Nor was there anything of a stage that was cut short in its warm-up: it offered nothing that counts.
    With `varies`, it has also how much that varied, for the requests of a mix.
    """
    seconds = load.seconds if load else ()
    completed = sum(second.completed for second in seconds if 0 <= second.index < offer.window_s)
    has_begun = load is not None and (load.complete or any(second.index >= 0 for second in seconds))
    actual = round(completed / offer.window_s, 4) if has_begun else None
    latencies: dict[str, Any] = {kind.field: latency(load, kind.name) for kind in LATENCIES}
    return Measured(
        requests=requests_of(seconds),
        actual_rps=actual,
        achieved=offer.achieved(load) if load and has_begun else None,
        **latencies,
        distribution=distribution(load),
        variation=dict(variation(load, offer.window_s)) if load and varies else {},
    )


def requests_of(seconds: Sequence[LoadSecond]) -> Requests:
    """Return the sums of some seconds' counts."""
    failures: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for second in seconds:
        failures.update(second.failures)
        statuses.update(second.statuses)
    return Requests(
        scheduled=sum(second.scheduled for second in seconds),
        sent=sum(second.sent for second in seconds),
        succeeded=sum(second.succeeded for second in seconds),
        failed=failures.total(),
        dropped=sum(second.dropped for second in seconds),
        failures=dict(sorted(failures.items())),
        statuses={str(code or OTHER_STATUSES): statuses[code] for code in sorted(statuses)} or UNSET,
    )
