"""Simulated runs with realistic noise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from math import exp
from pathlib import Path
from random import Random

from msgspec.structs import replace

from runner.core.codes import ComparisonVerdict, Validity
from runner.core.comparison import ComparedMetric, ComparedStage, Comparison
from runner.core.judgements import StageValidity
from runner.core.observed_results import Usage
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.store.results_file import read_results

RESULTS = Path(__file__).parents[1] / "results"
NOISE = {"p50": 0.02, "p95": 0.025, "p99": 0.04}


def stored(name: str) -> Results:
    """Return the results of a real run, from a copy that does not change with reports/."""
    return read_results(RESULTS / f"{name}.json")


def stages(results: Results) -> tuple[Stage, ...]:
    """Return the stages of the only configuration."""
    (configuration,) = results.configurations
    return configuration.stages


def with_stages(results: Results, *stages: Stage) -> Results:
    """Return the same results with other stages of the only configuration."""
    (configuration,) = results.configurations
    return replace(results, configurations=(replace(configuration, stages=stages),))


def each_stage(results: Results, **changes: object) -> Results:
    """Return the same results with the same changes to every stage."""
    return with_stages(results, *(replace(stage, **changes) for stage in stages(results)))


def worse(comparison: Comparison) -> Iterator[tuple[ComparedStage, ComparedMetric]]:
    """Yield every stage and metric that got worse."""
    for stage in comparison.stages:
        for metric in stage.metrics:
            if metric.verdict is ComparisonVerdict.WORSE:
                yield stage, metric


def run(
    random: Random, *, repeats: int, slower: float = 1.0, outliers: float = 0.0, scale: float = 1.0
) -> Results:
    """Return the results of a run of four stages.

    Args:
        random: Source of randomness.
        repeats: Of every stage.
        slower: Factor on every p95.
        outliers: Share of repeats that are twice as slow.
        scale: Factor on the noise.
    """
    made: list[Stage] = []
    for repeat in range(1, repeats + 1):
        for model in stages(_base()):
            disturbed = 2.0 if random.random() < outliers else 1.0
            duration = {
                which: 10 * disturbed * exp(random.gauss(0, sigma * scale)) for which, sigma in NOISE.items()
            }
            duration["p95"] *= slower
            response = duration["p95"] * exp(random.gauss(0.1, 0.002))
            made.append(
                replace(
                    model,
                    repeat=repeat,
                    order=len(made),
                    duration_ms=replace(model.duration_ms, **duration),
                    response_time_ms=replace(model.response_time_ms, p95=response),
                    actual_rps=model.target_rps * exp(random.gauss(0, 0.001 * scale)),
                    cpu_cores={"app": Usage(0.5 * exp(random.gauss(0, 0.02 * scale)), None)},
                )
            )
    identity = f"made-up-{random.getrandbits(64):x}"
    return with_stages(replace(_base(), run=replace(_base().run, id=identity)), *made)


@cache
def _base() -> Results:
    """Return four valid stages, without the parts that a comparison does not use."""
    results = stored("single-process")
    stage = stages(results)[0]
    stage = replace(
        stage,
        timeseries=(),
        counters=(),
        distribution=None,
        requests=replace(stage.requests, failed=0, dropped=0),
        validity=StageValidity(Validity.VALID, ()),  # independent of the stored run
    )
    return with_stages(
        results, *(replace(stage, name=f"{n}00 RPS", target_rps=n * 100) for n in (1, 2, 3, 4))
    )


FULL_SIZE = os.environ.get("CI") == "true"


def sample_size(full):
    """Return how many simulated cases to draw: all of them with CI=true, a fifth elsewhere."""
    return full if FULL_SIZE else full // 5


def highest_share(share, cases):
    """Return the bound for an observed share: two standard errors above it where cases are few."""
    return share if FULL_SIZE else share + 2 * (share * (1 - share) / cases) ** 0.5


def lowest_share(share, cases):
    """Return the bound below an observed share, as `highest_share` does above it."""
    return 1 - highest_share(1 - share, cases)
