"""Facts made by hand, for tests of the analysis."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from runner.analyze.results import results
from runner.core import histogram
from runner.core.codes import Role
from runner.core.facts import Event, RunFacts, TrialFacts
from runner.core.histogram import Histogram
from runner.core.load_facts import DropCauses, LoadFacts, LoadSecond
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.core.system_facts import SystemDescription
from runner.experiment.load import read_spec
from runner.experiment.trials import plan

SPEC = b"""
version: 1
name: shop
title: The Shop
objective: Find where one process stops.
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
load: {request: {path: /items}, connection: new, max_in_flight: 500}
stages:
  - {rps: 100, duration: 4s, warmup: 1s}
  - {rps: 1000, duration: 4s}
  - {rps: 4000, duration: 4s}
thresholds: [achieved >= 99%, response_time.p95 < 50ms]
"""

RUN = RunFacts(
    run_id="20260102T030405Z-00000000",
    started_at="2026-01-02T03:04:05+00:00",
    finished_at="2026-01-02T03:05:05+00:00",
    command="runner execute shop.yaml",
    overrides=(),
    status="complete",
    signal=None,
    environment={"cpu_count": 4, "kernel": "6.1.0", "cpu_model": "Example 3000", "cpu_governor": None},
)

SUBJECTS = (
    Subject("app", Role.APP, "tree", 10, 1),
    Subject("generator-1", Role.GENERATOR, "tree", 11, 1),
    Subject("runner", Role.RUNNER, "process", 12, 1),
    Subject("system", Role.SYSTEM, "system"),
)


@lru_cache(maxsize=4096)  # seconds of one stage are alike, and so are the stages of most tests
def _latencies(succeeded: int, ms: float) -> dict[str, Histogram]:
    """Return the histograms of a second in which so many requests took about `ms`; not to be changed."""
    spread = [round(ms * 1e6 * (0.5 + n / succeeded)) for n in range(succeeded)]
    duration = histogram.of(spread)
    return {
        "duration": duration,
        "response_time": histogram.of([value + 200_000 for value in spread]),
        "connect": histogram.of([50_000] * succeeded),
        "dispatch_delay": histogram.of([100_000] * succeeded),
        "first_byte": duration,
    }


def second(index: int, rps: int, succeeded: int, ms: float, **changes: Any) -> LoadSecond:
    """Return a second in which `succeeded` of `rps` requests took about `ms`; the others were dropped."""
    return replace(
        LoadSecond(
            index=index,
            scheduled=rps,
            sent=succeeded,
            succeeded=succeeded,
            dropped=rps - succeeded,
            completed=succeeded,
            in_flight=3,
            cpu_s=0.1,
            **_latencies(succeeded, ms),
        ),
        **changes,
    )


def load(rps: int, succeeded: int, ms: float, seconds: int = 4, **changes: Any) -> LoadFacts:
    """Return a stage of equal seconds."""
    return replace(
        LoadFacts(
            drops=DropCauses(),
            engine="builtin",
            workers=1,
            planned=rps * seconds,
            seconds=tuple(second(index, rps, succeeded, ms) for index in range(seconds)),
            complete=True,
            clock="answers by the kernel's receive stamps",
        ),
        **changes,
    )


def observed(app: float, generator: float = 0.1, system: float = 1.5, seconds: float = 4) -> ObservedFacts:
    """Return constant CPU usage, sampled five times a second from a second before the window."""
    cores = {"app": app, "generator-1": generator, "runner": 0.01, "system": system}
    ticks = [n / 5 for n in range(-5, round(seconds * 5) + 1)]
    samples = tuple(
        Sample(
            t,
            {name: 100 + cores[name] * (t + 1) for name in cores},
            {name: 50 * 2**20 for name in cores if name != "system"},
        )
        for t in ticks
    )
    return ObservedFacts(SUBJECTS, samples)


def trial(
    order: int, stage: str, rps: int, succeeded: int, ms: float, app: float, **changes: Any
) -> TrialFacts:
    """Return a trial of `SPEC`."""
    return replace(
        TrialFacts(
            configuration="shop",
            stage=stage,
            repeat=1,
            order=order,
            started_at="2026-01-02T03:04:06+00:00",
            target_rps=float(rps),
            warmup_s=0.0,
            window_s=4.0,
            status="complete",
            load=load(rps, succeeded, ms),
            observed=observed(app),
            topology=SystemDescription(kind="process", command=("shop", "--port", "4242"), replicas=1),
        ),
        **changes,
    )


HEALTHY = trial(0, "100 RPS", 100, 100, 2.0, 0.12)
BUSY = trial(1, "1,000 RPS", 1000, 1000, 2.5, 0.6)
OVERLOADED = trial(2, "4,000 RPS", 4000, 1500, 330.0, 0.99)
DIED = replace(
    OVERLOADED,
    status="failed",
    load=replace(OVERLOADED.load, seconds=OVERLOADED.load.seconds[:2], complete=False),
    events=(Event("app-died", "the app was killed by SIGSEGV", t_s=1.9, log=("last | words", "``` fence")),),
)


def results_of(*trials: TrialFacts, run: RunFacts = RUN, spec: bytes = SPEC) -> Results:
    """Return the results of these trials of a specification."""
    experiment = read_spec(spec, source="shop.yaml")
    return results(experiment, spec_sha256="0" * 64, run=run, trials=trials, planned=plan(experiment))


def stages_of(*trials: TrialFacts, **keywords: Any) -> tuple[Stage, ...]:
    """Return the stages of the only configuration."""
    return results_of(*trials, **keywords).configurations[0].stages
