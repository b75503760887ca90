"""Facts of a request mix made by hand, for tests of the analysis."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from msgspec.structs import replace

from runner.core import histogram
from runner.core.facts import TrialFacts
from runner.core.load_facts import LoadFacts, LoadSecond, PartFacts
from tests.analyze.facts import load, second, trial

SPEC = b"""
version: 1
name: shop
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
load:
  max_in_flight: 500
  requests:
    - {name: search, weight: 3, path: /search}
    - {name: order, method: POST, path: /orders}
stages:
  - {rps: 100, duration: 4s}
thresholds:
  - duration{request=search}.p95 < 4ms
  - duration{request=order}.p95 < 4ms
  - errors{request=order} < 1%
  - achieved >= 99%
"""
_LATENCIES = ("duration", "response_time", "connect", "dispatch_delay", "first_byte")


class Offered(NamedTuple):
    """One request of a mix in every second: its rate, how many succeed, and about how long they take."""

    rps: int
    succeeded: int
    ms: float


def mixed_load(seconds: int = 4, /, **requests: Offered) -> LoadFacts:
    """Return what was offered and came back; requests that do not succeed are dropped."""
    total = sum(offered.rps for offered in requests.values())
    every = tuple(
        _second({name: second(index, *offered) for name, offered in requests.items()})
        for index in range(seconds)
    )
    parts = {
        name: PartFacts(planned=offered.rps * seconds, share=offered.rps / total)
        for name, offered in requests.items()
    }
    return replace(load(total, total, 1.0, seconds=seconds), seconds=every, parts=parts)


def _second(parts: dict[str, LoadSecond]) -> LoadSecond:
    """Return a second of a mix: the sum of its parts."""
    counts: Counter[str] = Counter()
    for part in parts.values():
        names = ("scheduled", "sent", "succeeded", "dropped", "completed")
        counts.update({name: getattr(part, name) for name in names})
    latencies = {name: histogram.merge(getattr(part, name) for part in parts.values()) for name in _LATENCIES}
    index = next(iter(parts.values())).index
    return LoadSecond(index, **counts, **latencies, in_flight=3, cpu_s=0.1, parts=parts)


def mixed_trial(number: int = 0, stage: str = "100 RPS", /, **requests: Offered) -> TrialFacts:
    """Return a trial of `SPEC`."""
    rps = sum(offered.rps for offered in requests.values())
    return replace(trial(number, stage, rps, rps, 1.0, 0.2), load=mixed_load(**requests))
