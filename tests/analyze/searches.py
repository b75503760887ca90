"""Searches on a simulated shop of a known capacity."""

from __future__ import annotations

from msgspec.structs import replace

from runner.analyze.results import results, upcoming
from runner.analyze.usl import Law
from runner.core.facts import TrialFacts
from runner.core.results import Results
from runner.experiment.load import read_spec
from runner.experiment.trials import Trial, plan
from tests.analyze.facts import RUN, trial

SPEC = b"""
version: 1
name: shop
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
stages:
  - find: {max_rps: 4000, min_rps: 100, until: [response_time.p95 < 50ms, achieved >= 99%]}
    duration: 4s
  - {rps: 100, duration: 4s}
thresholds: [errors < 0.1%]
"""

REPLICATED = b"""
version: 1
name: shop
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
  proxy: {kind: nginx}
stages:
  - find: {max_rps: 4000, min_rps: 100, precision: 0.01, probes: 30, until: [achieved >= 99%]}
    duration: 4s
"""


def planned(spec: bytes = SPEC) -> tuple[Trial, ...]:
    return plan(read_spec(spec, source="shop.yaml"))


def answer(probe: Trial, capacity: float) -> TrialFacts:
    """Return a probe: the shop responds in a few ms, above its capacity at that rate and in 300 ms."""
    rps = round(probe.stage.rps)
    over = rps > capacity
    facts = trial(
        probe.order, probe.stage.name, rps, round(capacity) if over else rps, 300 if over else 3, 0.5
    )
    return replace(facts, target_rps=probe.stage.rps)


def search(capacity: float, spec: bytes = SPEC) -> list[TrialFacts]:
    """Return the facts of a whole run, in the order in which the pipeline collects them."""
    facts: dict[int, TrialFacts] = {}
    for each in planned(spec):
        while (probe := upcoming(each, facts, RUN)) is not None:
            assert probe.order not in facts
            facts[probe.order] = answer(probe, capacity)
    return list(facts.values())


def scaled(law: Law, spec: bytes) -> Results:
    """Return the results of a run in which each configuration has the capacity that the law predicts."""
    experiment = read_spec(spec, source="shop.yaml")
    facts: dict[int, TrialFacts] = {}
    for each in plan(experiment):
        capacity = law.at(each.configuration.topology.replicas)
        while (probe := upcoming(each, facts, RUN)) is not None:
            made = answer(probe, capacity)
            facts[probe.order] = replace(made, configuration=each.configuration.name)
    return results(
        experiment,
        spec_sha256="0" * 64,
        run=RUN,
        trials=list(facts.values()),
        planned=plan(experiment),
    )
