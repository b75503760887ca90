"""The share of its target rate that a service achieved.

The rule for a stage, its verdict, a search and a threshold: the share of the requests due in the measured
window that the service sustained. A service that responds to every due request in time achieved 100 %,
however long a response takes. An overloaded one achieved its capacity ÷ the target rate: what it works off
after the window, while no more requests are due, does not count.

Responses after the window are late either because a response takes long or because a backlog has grown. A
backlog shows in response times that grow over the window where requests are served in turn, and in more and
more requests under way in whatever order they are served (processor sharing, the newest first).

* If neither grows and at least 99 % of the due requests succeeded, every success counts.
* Otherwise the throughput in the window over the rate that was due. Where all responses take about the same
  time, and so many ended in the window as that lets expect, the successes that ended not later after the
  window's end than the first requests of the window took count, too.

Failed and dropped requests never count, and one more of them never raises the share.

Runs of scenarios follow the same rule, in units of runs. Users who pause are no backlog: what must not grow
is the number of those who wait for a response, and the response times of the steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, linear_regression
from typing import Final

from msgspec.structs import replace

from runner.analyze.waiting import Waiting, finished_runs
from runner.core.histogram import Histogram, lowest_us
from runner.core.load_facts import Backlog, LoadFacts
from runner.core.ramp import Ramp
from runner.core.units import US_PER_S, PerSecond, Seconds

_NEARLY_ALL: Final = 0.99
"""Share of successes from which late ones may be slow responses; below, some requests were turned away."""
_SIGNIFICANT: Final = 2.5
"""Standard errors by which a growth of response times must differ from 0."""
_SQUARE_ROOTS: Final = 3
_ABOUT_THE_SAME: Final = 0.1
"""Standard deviation of response times over their mean, up to which they are a constant."""
_AS_EXPECTED: Final = 0.97
_FEWEST: Final = 3
_ENOUGH_OF_WINDOW: Final = 0.2
"""Share of the window in which runs can complete, from which their number says what all of it would have."""
_BEGINNING: Final = 0.005
"""Share of the window that counts as its beginning."""


def achieved(
    load: LoadFacts,
    target: PerSecond,
    window_s: Seconds,
    warmup_s: Seconds = 0.0,
    ramp: Ramp | None = None,
    *,
    runs: Waiting | None = None,
) -> float | None:
    """Return the share of the due requests that the service sustained, 0 to 1; None if none was due.

    Args:
        load: Of the stage, or of one request of it; of a scenario, in units of runs.
        target: Requests per second; of a ramp, the average.
        window_s: Length of the measured window.
        warmup_s: Length of the warm-up.
        ramp: How the rate changed over the window; None for a constant one.
        runs: Of a scenario: how its users wait for responses.
    """
    if not load.planned:
        return None
    succeeded = sum(second.succeeded for second in load.seconds)
    inside = sum(second.succeeded for second in load.seconds if second.index < window_s)
    if load.backlog is not None:
        counted = _counted(load, load.backlog, succeeded, inside, (warmup_s, window_s), ramp, runs=runs)
    elif (fastest_s := _stated_minimum(load)) is not None:
        # k6 does not report when requests were due: as many may be in flight as arrive while the fastest was
        under_way = _due_in_last(fastest_s, load, window_s, ramp)
        counted = inside + min(succeeded - inside, math.floor(under_way) + 1)
    else:
        return _by_throughput(load, target, window_s)
    return min(1.0, counted / load.planned)


def _due_in_last(last_s: Seconds, load: LoadFacts, window_s: Seconds, ramp: Ramp | None) -> float:
    """Return how many of the requests were due in the last seconds of the window."""
    if ramp is None:
        return load.planned / window_s * last_s
    return load.planned * (1 - ramp.due_before(max(0.0, 1 - last_s / window_s)))


def _counted(
    load: LoadFacts,
    backlog: Backlog,
    succeeded: int,
    inside: int,
    lengths: tuple[Seconds, Seconds],
    ramp: Ramp | None,
    *,
    runs: Waiting | None,
) -> float:
    _, window_s = lengths
    if ramp is not None:  # the gap between its first arrivals says nothing about those at its end
        backlog = replace(backlog, beginning_s=min(backlog.beginning_s, _BEGINNING * window_s))
    more = _more_under_way(load, backlog, lengths, ramp, runs=runs)
    slower = any(_grows(one, window_s) for one in (backlog, *(runs.of_steps if runs else ())))
    if not more and not slower:
        if succeeded >= _NEARLY_ALL * load.planned:
            return succeeded
        if runs and (finished := finished_runs(load)) is not None:
            return succeeded / finished * load.planned
    completed = sum(second.completed for second in load.seconds if 0 <= second.index < window_s)
    expected = _expected(load, backlog.fastest_first_s, lengths, ramp)
    chance = _SIGNIFICANT * math.sqrt(max(0.0, expected))
    if more and not (_is_constant(backlog) and completed >= _AS_EXPECTED * expected - chance - 1):
        return min(succeeded, _in_full_window(completed, load, backlog, lengths, ramp, runs))
    shifted = inside + _not_above(backlog.late, backlog.fastest_first_s + backlog.beginning_s)
    return min(succeeded, max(shifted, completed))


def _in_full_window(
    completed: int,
    load: LoadFacts,
    backlog: Backlog,
    lengths: tuple[Seconds, Seconds],
    ramp: Ramp | None,
    runs: Waiting | None,
) -> float:
    """Return how many runs would complete if the first users had paused before the window."""
    if runs is None:
        return completed
    paused_s = min(runs.pauses_s, backlog.fastest_first_s)
    share = _expected(load, paused_s, lengths, ramp) / load.planned
    return completed / share if share >= _ENOUGH_OF_WINDOW else completed


def _expected(
    load: LoadFacts, latency_s: Seconds, lengths: tuple[Seconds, Seconds], ramp: Ramp | None
) -> float:
    """Return how many responses end in the window, with the warm-up, if all take the same time."""
    warmup_s, window_s = lengths
    if ramp is None:  # nothing can end before the first response of the stage has taken its time
        return load.planned * max(0.0, 1 - max(0.0, latency_s - warmup_s) / window_s)
    due_until_s, per_rps = window_s - latency_s, load.planned / (ramp.mean * window_s)
    from_warmup_s = max(0.0, min(warmup_s, latency_s) + min(0.0, due_until_s))
    due = load.planned * ramp.due_before(max(0.0, due_until_s / window_s))
    return due + ramp.begin * per_rps * from_warmup_s


def _is_constant(backlog: Backlog) -> bool:
    """Return whether all response times are about the same."""
    n, _, y, _, _, yy = backlog.sums
    return n > 0 and math.sqrt(max(0.0, yy / n - (y / n) ** 2)) <= _ABOUT_THE_SAME * y / n


def _more_under_way(
    load: LoadFacts,
    backlog: Backlog,
    lengths: tuple[Seconds, Seconds],
    ramp: Ramp | None,
    *,
    runs: Waiting | None,
) -> bool:
    """Return whether more and more requests are under way from second to second of the window.

    Of a ramp, only those count that exceed the number at its rate and the first half's response time
    (Little's law). The growth must be more than 1 % of what was due, and more than chance: of the
    regression, and of as many independent requests (square root). The window's last second is read when no
    more requests are due. Of runs, the seconds count in which users have paused as long as they all will.
    """
    warmup_s, window_s = lengths
    first, last = -1.0, math.ceil(window_s) - 1
    if runs:
        first = max(first, runs.pauses_s - warmup_s)
    known = [
        (second.index, float(second.in_flight)) for second in load.seconds if first <= second.index < last
    ]
    if len(known) < _FEWEST - 1:
        return False
    if ramp is not None:
        early_s = runs.early_s if runs else _early_response_s(backlog, window_s)
        known = _without_ramp(known, load.planned * early_s, window_s, ramp)
    places, levels = zip(*known, strict=True)
    slope, _ = linear_regression(places, levels) if len(set(places)) > 1 else (0.0, 0.0)
    mean_place, mean = fmean(places), fmean(levels)
    spread = sum((place - mean_place) ** 2 for place in places)
    left = sum((level - mean - slope * (place - mean_place)) ** 2 for place, level in known)
    error = math.sqrt(left / max(1, len(known) - 2) / spread)
    chance = max(_SIGNIFICANT * error * window_s, _SQUARE_ROOTS * math.sqrt(mean))
    return slope * window_s > max((1 - _NEARLY_ALL) * load.planned, chance)


def _without_ramp(
    known: Sequence[tuple[int, float]], response_s: Seconds, window_s: Seconds, ramp: Ramp
) -> list[tuple[int, float]]:
    """Return the numbers of requests under way without what a change of the rate alone explains.

    Args:
        known: Second of the window, and the number at its end.
        response_s: Response times of all due requests together, if all took as long as the first half's.
        window_s: Length of the measured window.
        ramp: How the rate changed over it.
    """
    per_rps = response_s / (ramp.mean * window_s)
    return [
        (index, max(0.0, level - ramp.at(min(1.0, max(0.0, (index + 1) / window_s))) * per_rps))
        for index, level in known
    ]


def _early_response_s(backlog: Backlog, window_s: Seconds) -> Seconds:
    """Return the response time of the first half by the regression line: that in the middle of it.

    Failed requests count as well, so one more of them changes nothing here.
    """
    n, x, y, xx, xy, _ = backlog.sums
    if not n:
        return 0.0
    spread_x = xx - x * x / n
    slope = (xy - x * y / n) / spread_x if spread_x > 0 else 0.0
    return max(0.0, y / n + slope * (window_s / 4 - x / n))


def _grows(backlog: Backlog, window_s: Seconds) -> bool:
    """Return whether response times grow over the window, by linear regression on when requests were due.

    The growth must be larger than what the measurement resolves, than the scatter of response times around
    the regression line, and than chance (standard error of the slope, Draper and Smith, *Applied Regression
    Analysis*, 1.4).
    """
    n, x, y, xx, xy, yy = backlog.sums
    if n < _FEWEST:
        return False
    spread_x, spread_y, common = xx - x * x / n, yy - y * y / n, xy - x * y / n
    if spread_x <= 0:
        return False
    slope = common / spread_x
    scatter = math.sqrt(max(0.0, spread_y - slope * common) / (n - 2))
    chance = _SIGNIFICANT * scatter / math.sqrt(spread_x) * window_s
    return slope * window_s > max(backlog.beginning_s, scatter, chance)


def _not_above(histogram: Histogram, limit_s: Seconds) -> int:
    limit_us = limit_s * US_PER_S
    return sum(count for bucket, count in histogram.counts.items() if lowest_us(bucket) <= limit_us)


def _stated_minimum(load: LoadFacts) -> Seconds | None:
    stated = (load.stated_ms or {}).get("duration") or {}
    minimum = stated.get("min")
    return None if minimum is None else minimum / 1000


def _by_throughput(load: LoadFacts, target: PerSecond, window_s: Seconds) -> float:
    """Return throughput ÷ target rate, the definition of facts that were recorded before version 0.2.0."""
    completed = sum(second.completed for second in load.seconds if 0 <= second.index < window_s)
    return min(1.0, round(completed / window_s, 4) / target)
