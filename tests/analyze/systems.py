"""Made-up runs of a made-up system, with the noise that real ones have."""

from __future__ import annotations

from math import exp
from random import Random

from tests.report.test_junit import stored

NOISE = {"p50": 0.02, "p95": 0.025, "p99": 0.04}


def run(random: Random, *, repeats: int, slower: float = 1.0, outliers: float = 0.0, scale: float = 1.0):
    """Results of a run with `repeats` of four stages.

    Args:
        random: Where chance comes from.
        repeats: Of every stage.
        slower: Factor on every p95.
        outliers: Share of repeats that something disturbed: twice as slow.
        scale: Factor on the noise.
    """
    base = _base()
    configuration = base["configurations"][0]
    stages = []
    for repeat in range(1, repeats + 1):
        for model in configuration["stages"]:
            disturbed = 2.0 if random.random() < outliers else 1.0
            duration = model["duration_ms"] | {
                which: 10 * disturbed * exp(random.gauss(0, sigma * scale)) for which, sigma in NOISE.items()
            }
            duration["p95"] *= slower
            stages.append(
                {
                    **model,
                    "repeat": repeat,
                    "order": len(stages),
                    "duration_ms": duration,
                    "response_time_ms": model["response_time_ms"]
                    | {"p95": duration["p95"] * exp(random.gauss(0.1, 0.002))},
                    "actual_rps": model["target_rps"] * exp(random.gauss(0, 0.001 * scale)),
                    "cpu_cores": {"app": {"avg": 0.5 * exp(random.gauss(0, 0.02 * scale)), "peak": None}},
                }
            )
    identity = {**base["run"], "id": f"made-up-{random.getrandbits(64):x}"}
    return {**base, "run": identity, "configurations": [{**configuration, "stages": stages}]}


_KEPT: list[dict] = []


def _base():
    """Four stages that held, without what comparing needs not."""
    if not _KEPT:
        results = stored("single-process")
        configuration = results["configurations"][0]
        stage = {**configuration["stages"][0], "timeseries": [], "counters": [], "distribution": None}
        stage["requests"] = {**stage["requests"], "failed": 0, "dropped": 0}
        stage["validity"] = {"status": "valid", "reasons": []}  # whatever the machine did on that day
        configuration["stages"] = [
            {**stage, "name": f"{n}00 RPS", "target_rps": n * 100} for n in (1, 2, 3, 4)
        ]
        _KEPT.append(results)
    return _KEPT[0]
