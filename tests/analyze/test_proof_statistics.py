"""A machine's drift is no gain, and a real gain is seen in spite of it: simulated with fixed seeds."""

import math
import random

import pytest
from msgspec.structs import replace

from runner.analyze.counter_experiment import counter_experiment
from runner.core.codes import Confidence, Limit
from runner.core.findings import Finding
from runner.core.stage_results import Verdict
from runner.experiment.changes import CHANGES
from runner.experiment.load import read_spec
from runner.experiment.proof_blocks import BLOCKS
from tests.analyze import stages as made
from tests.analyze.facts import SPEC

CONFIGURATION = read_spec(SPEC, source="shop.yaml").configurations[0]
RUNS = 1200
BLOCK_S = 8
CAPACITY = 1000.0
WITHIN, CONCURRENCY, OTHER = (
    made.stage(verdict=Verdict(code, Confidence.LIKELY, (Finding(code, Confidence.LIKELY, "", (), ""),)))
    for code in (Limit.WITHIN_CAPACITY, Limit.APP_CONCURRENCY, Limit.HOST_CPU)
)


def smooth_drift(rng, span):
    """The logarithm of the speed wanders around its mean (an Ornstein-Uhlenbeck process)."""
    memory, scatter = math.exp(-BLOCK_S / rng.uniform(5, 180)), math.log(span) / 3.3
    level = rng.gauss(0, scatter)
    for _ in range(BLOCKS):
        yield math.exp(level)
        level = memory * level + rng.gauss(0, scatter * math.sqrt(1 - memory * memory))


def jumping_drift(rng, span):
    """The machine is fast or slow, as beside another one that is busy for a while."""
    stays, fast = math.exp(-BLOCK_S / rng.uniform(5, 180)), rng.random() < 0.5
    for _ in range(BLOCKS):
        yield span if fast else 1.0
        if rng.random() > stays:
            fast = not fast


def confirmed(drift, gain, then, seed):
    """The share of simulated counter-experiments that confirm."""
    rng, count = random.Random(seed), 0
    for _ in range(RUNS):
        speeds = drift(rng, rng.uniform(1.05, 1.8))
        blocks = []
        for at, speed in enumerate(speeds):
            more = 1 + gain if at % 2 else 1
            rate = CAPACITY * speed * more * math.exp(rng.gauss(0, 0.02))
            blocks.append((bool(at % 2), replace(then if at % 2 else CONCURRENCY, actual_rps=rate)))
        answer = counter_experiment(CONCURRENCY, blocks, CHANGES["workers"], CONFIGURATION).answer
        count += answer == "confirmed"
    return count / RUNS


@pytest.mark.parametrize("then", [CONCURRENCY, OTHER, WITHIN], ids=["same", "another", "sustained"])
@pytest.mark.parametrize("drift", [smooth_drift, jumping_drift])
def test_drift_confirms_less_than_one_in_a_hundred_unchanged_limits(drift, then):
    assert confirmed(drift, 0.0, then, seed=1) < 0.01


@pytest.mark.parametrize("drift", [smooth_drift, jumping_drift])
def test_twice_the_capacity_is_confirmed_in_more_than_nine_of_ten_cases(drift):
    assert confirmed(drift, 1.0, CONCURRENCY, seed=2) > 0.9


def test_without_any_drift_half_as_much_again_is_always_confirmed_and_a_quarter_never():
    steady = lambda rng, span: [1.0] * BLOCKS  # noqa: E731

    assert confirmed(steady, 0.6, CONCURRENCY, seed=3) > 0.99
    assert confirmed(steady, 0.24, CONCURRENCY, seed=4) == 0
