"""An agent tells how many cores it may really use."""

import os

import pytest
from msgspec.structs import replace

from runner.cluster.facts import on_same_machine
from runner.cluster.machine import describe_machine, usable_cores

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


def test_agents_that_see_the_same_running_kernel_are_on_one_machine():
    def info(boot_id):
        return replace(describe_machine((), ()), boot_id=boot_id)

    agents = {"c": info("one"), "a": info("one"), "b": info("two"), "d": info(""), "e": info("")}

    assert on_same_machine(agents, "a") == ("c",)
    assert [on_same_machine(agents, name) for name in ("b", "d", "unknown")] == [(), (), ()]
