"""An agent tells how many cores it may really use."""

import os

import pytest

from runner.cluster.machine import usable_cores

_ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, _ALL),
        ({"cpu.max": "max 100000"}, _ALL),
        ({"cpu.max": "30000 100000"}, 0.3),
        ({"cpu.max": "99900000 100000"}, _ALL),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, _ALL),
        ({"cpu/cpu.cfs_quota_us": "25000", "cpu/cpu.cfs_period_us": "50000"}, 0.5),
        ({"cpu.max": "garbage"}, _ALL),
        ({"cpu.max": "10000 0"}, _ALL),
    ],
)
def test_usable_cores_are_the_smaller_of_affinity_and_quota(tmp_path, files, cores):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")

    assert usable_cores(tmp_path) == cores
