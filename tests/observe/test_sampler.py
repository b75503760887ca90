import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.environment import _read, environment
from runner.observe.processes import start_ticks
from runner.observe.readers import Reading, SystemReader
from runner.observe.sampler import beats, watch

moments = st.integers(0, 4 * 10**9)


@given(moments, moments, moments, st.integers(10**7, 10**9))
def test_beats_are_whole_intervals_from_the_windows_start_and_include_both_its_ends(
    start, warmup, length, interval
):
    window = Window(start, start + warmup, start + warmup + length)

    times = list(beats(window, interval))

    assert times == sorted(set(times))
    assert times[-1] == window.end_ns
    assert length == 0 or window.measure_ns in times
    assert all((t - window.measure_ns) % interval == 0 for t in times[:-1])
    assert all(window.start_ns <= t for t in times[:-1])


async def test_all_subjects_are_sampled_from_warm_up_to_the_windows_end():
    own = os.getpid()
    subjects = (
        Subject("app", Role.APP, "process", own, start_ticks(own)),
        Subject("system", Role.SYSTEM, "system"),
        Subject("ghost", Role.APP, "tree", 2**22 - 1, 1),
    )
    start = time.monotonic_ns()
    seen = []

    facts = await watch(
        subjects,
        Window(start, start + 100_000_000, start + 300_000_000),
        interval=0.05,
        on_sample=seen.append,
    )

    assert facts.samples == tuple(seen)
    assert len(seen) == 7
    assert seen[-1].t_s >= 0.2
    assert {name for sample in seen for name in sample.cpu_s} == {"app", "system"}
    assert facts.notes == ("the counters of ghost could not always be read",)


async def test_after_a_late_start_missed_samples_are_taken_at_once_and_the_others_on_time():
    start = time.monotonic_ns() - 10**9
    subject = Subject("system", Role.SYSTEM, "system")

    facts = await watch(
        [subject], Window(start, start, start + 10**9), interval=0.5, on_sample=lambda _: None
    )

    assert len(facts.samples) == 3


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"4096\n", 4096), (b"32768\t60999\n", "32768 60999"), (b"tsc\n", "tsc"), (b"", None),
        (b"9" * 30, None), (b"\xff\xfe x", "\ufffd\ufffd x"), ("\u0663".encode(), "\u0663"),
        (b"x" * 5000, "x" * 200),
    ],
)  # fmt: skip
def test_a_fact_of_the_host_is_read_within_bounds(tmp_path, content, fact):
    (tmp_path / "fact").write_bytes(content)

    assert _read(str(tmp_path / "fact")) == fact


@pytest.mark.parametrize(
    "content",
    [b"", b"cpu\n", b"cpu x y z w\n", b"cpu 1 2\n", b"\xff\n", b"cpu " + b"9" * 5000 + b" 1 1 1 1\n"],
)
def test_a_host_whose_statistics_are_unusual_is_not_read(tmp_path, content):
    (tmp_path / "stat").write_bytes(content)

    assert SystemReader(tmp_path / "stat").read() == Reading(None, None)


def test_the_environment_describes_the_machine_without_its_host_name():
    facts = environment()

    assert facts["cpu_count"] == os.cpu_count()
    assert facts["kernel"] == os.uname().release
    assert os.uname().nodename not in {str(value) for value in facts.values()}
