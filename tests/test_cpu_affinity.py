"""A specification names only processors that the run may use."""

from __future__ import annotations

import os

import pytest

from runner.core.errors import EnvironmentLacks
from runner.cpu_affinity import check_cpus, cpu_list


def test_all_usable_processors_may_be_named() -> None:
    check_cpus(os.sched_getaffinity(0), "load.cpus")
    check_cpus((), "load.cpus")


@pytest.mark.parametrize("key", ["load.cpus", "topology.cpus"])
def test_the_first_processor_that_is_missing_is_named_with_its_key_and_the_usable_ones(key: str) -> None:
    usable = sorted(os.sched_getaffinity(0))

    with pytest.raises(EnvironmentLacks) as caught:
        check_cpus((*usable, 4095, 4000), key)

    assert caught.value.message == f"{key} names processor 4000, which this run may not use"
    assert caught.value.hint == f"it may use {', '.join(map(str, usable))}"


def test_a_list_of_processors_is_in_the_notation_of_the_kernel() -> None:
    assert cpu_list((2, 0)) == "0,2"
