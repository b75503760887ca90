"""Error rates of a comparison, by simulation: false alarms are rare, and real changes are found."""

from __future__ import annotations

from random import Random

import pytest

from runner.analyze.comparison import compare
from tests.analyze.systems import highest_share, run, sample_size, worse


def alarms(times, seed, *, repeats, slower=1.0, outliers=0.0, scale=1.0):
    """Return the share of comparisons that report a change, and of stages whose p95 is reported as worse."""
    random = Random(seed)
    told = found = 0
    for _ in range(times):
        base = run(random, repeats=repeats, outliers=outliers, scale=scale)
        head = run(random, repeats=repeats, slower=slower, outliers=outliers, scale=scale)
        result = compare([base], [head])
        told += result.verdict in {"worse", "better"}
        found += sum(metric.name == "duration_ms.p95" for _, metric in worse(result)) / 4
    return told / times, found / times


def test_equal_systems_are_reported_as_different_in_at_most_1_of_20_comparisons():
    told, _ = alarms(sample_size(1000), 20, repeats=5)

    assert told <= highest_share(0.05, sample_size(1000))


@pytest.mark.parametrize(
    ("repeats", "scale", "outliers"), [(5, 4.0, 0.05), (3, 4.0, 0.0), (2, 4.0, 0.1), (1, 2.0, 0.0)]
)
def test_noise_outliers_and_few_repeats_do_not_change_that(repeats, scale, outliers):
    told, _ = alarms(sample_size(400), 22, repeats=repeats, scale=scale, outliers=outliers)

    assert told <= highest_share(0.05, sample_size(400))


def test_5_repeats_find_a_p95_that_is_10_percent_worse_in_9_of_10_comparisons():
    _, found = alarms(200, 21, repeats=5, slower=1.10)

    assert found >= 0.9
