"""What the signs of connection limits share: findings, counters with a bound, and their evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from runner.analyze.kernel_counters import counter_evidence, counters
from runner.analyze.rules.types import Match
from runner.core.codes import Confidence, Limit
from runner.core.findings import Evidence, Finding
from runner.core.observed_results import CounterReading
from runner.core.stage_results import Stage


def exhausted(
    summary: str, evidence: tuple[Evidence, ...], advice: str, confidence: Confidence = Confidence.LIKELY
) -> Match:
    """Return a finding about ports, files, tables or the proxy's limit: they run out whatever the CPUs do."""
    return Match(Finding(Limit.CONNECTION, confidence, summary, evidence, advice), independent=True)


def slow_to_accept(
    summary: str,
    evidence: tuple[Evidence, ...],
    advice: str,
    confidence: Confidence = Confidence.LIKELY,
    *,
    always: bool = False,
) -> Match:
    """Return a finding that may be a mere consequence: a service without CPU accepts too late.

    With `always`, it did so all the time: then it is a consequence of whatever keeps requests waiting.
    """
    return Match(Finding(Limit.CONNECTION, confidence, summary, evidence, advice), of_backlog=always)


class Level(NamedTuple):
    """The peak of a counter, and the bound that it cannot exceed.

    Attributes:
        scope: As of the counter.
        name: As of the counter.
        used: Its peak.
        limit: Its bound.
        average: Its average, of those that have one; else its value at the window's end.
    """

    scope: str
    name: str
    used: float
    limit: float
    average: float


def fullest(levels: Iterable[CounterReading], *, at_least: float = 0.0) -> Level | None:
    """Return the level that is closest to its bound, at `at_least` of it or above; None if there is none."""
    bounded = [Level(c.scope, c.name, c.peak or 0, c.limit, c.after) for c in levels if c.limit]
    full = [level for level in bounded if level.used >= at_least * level.limit]
    return max(full, key=lambda level: level.used / level.limit, default=None)


def increases(
    stage: Stage, name: str, title: str, *, threshold: float | None = None, source: str = ""
) -> tuple[Evidence, ...]:
    """Return evidence for each scope in which a counter rose."""
    risen = [(c, f"{title} ({c.scope.removeprefix('net:')})") for c in counters(stage, name) if c.delta]
    return tuple(counter_evidence(c, words, threshold=threshold, source=source) for c, words in risen)


def place(scope: str) -> str:
    """Return a scope in words."""
    return "the host's network" if scope == "net:host" else scope.replace("net:", "the network of ")
