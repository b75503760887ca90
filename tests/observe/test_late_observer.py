"""An observer that stands still: its samples say when they were read, and no rate uses another time."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.analyze.resource_usage import cpu_of, observer_lateness
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, Sample, Subject, Throttling
from runner.observe import sampler
from runner.observe.processes import start_ticks
from runner.observe.readers import Reading

BURNS = """
import sys, time
input()
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:  # half a core
    busy = time.process_time() + 0.01
    while time.process_time() < busy:
        pass
    time.sleep(0.01)
time.sleep(60)
"""
SAMPLES = """
import json, sys, time, trio
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.processes import start_ticks
from runner.observe.sampler import watch
pid, seconds = int(sys.argv[1]), float(sys.argv[2])
subject = Subject("app", Role.APP, "process", pid, start_ticks(pid))
start = time.monotonic_ns()
print("up", flush=True)
window = Window(start, start, start + round(seconds * 1e9))
async def main():
    return await watch([subject], window, interval=0.1, on_sample=lambda _: None)
facts = trio.run(main)
print(json.dumps([[sample.t_s, sample.cpu_s["app"]] for sample in facts.samples]))
"""


def sampled_with_a_stop(window_s, stop_at_s, stop_s):
    """Sample a process that burns until the window ends; the sampling process is stopped for a while."""
    app = subprocess.Popen([sys.executable, "-c", BURNS, str(window_s + 0.3)], stdin=subprocess.PIPE)
    observer = subprocess.Popen(
        [sys.executable, "-c", SAMPLES, str(app.pid), str(window_s)],
        stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        observer.stdout.readline()
        app.stdin.write(b"\n")
        app.stdin.close()
        time.sleep(stop_at_s)
        observer.send_signal(signal.SIGSTOP)
        time.sleep(stop_s)
        observer.send_signal(signal.SIGCONT)
        output, _ = observer.communicate(timeout=20)
    finally:
        app.kill()
        app.wait()
    subject = Subject("app", Role.APP, "process", app.pid)
    return ObservedFacts((subject,), tuple(Sample(t, {"app": cpu_s}, {}) for t, cpu_s in json.loads(output)))


def test_an_observer_that_was_stopped_over_the_windows_end_measures_until_its_last_sample_in_time():
    observed = sampled_with_a_stop(window_s=2.0, stop_at_s=1.5, stop_s=2.5)
    before_the_stop = [sample for sample in observed.samples if sample.t_s < 1.9]

    usage = cpu_of(observed, "app", 2.0, 1.0)

    assert 1.5 < observer_lateness(observed.samples, 2.0)[0] < 3.5
    assert observed.samples[-1].t_s > 3.5
    last, first = before_the_stop[-1], before_the_stop[0]
    expected = (last.cpu_s["app"] - first.cpu_s["app"]) / (last.t_s - first.t_s)
    assert usage.avg == pytest.approx(expected)
    closing = observed.samples[-1]
    assert usage.avg > 1.3 * (closing.cpu_s["app"] - first.cpu_s["app"]) / (closing.t_s - first.t_s)


def test_an_observer_that_was_stopped_within_the_window_uses_the_real_times():
    observed = sampled_with_a_stop(window_s=3.0, stop_at_s=0.5, stop_s=1.5)
    first, last = observed.samples[0], observed.samples[-1]

    usage = cpu_of(observed, "app", 3.0, 1.0)

    assert 0.9 < observer_lateness(observed.samples, 3.0)[1] < 2.5
    assert usage.avg == pytest.approx((last.cpu_s["app"] - first.cpu_s["app"]) / (last.t_s - first.t_s))


class Scripted:
    """A reader whose readings take as long as told, on a clock of its own."""

    now_ns = 0

    def __init__(self, *readings):
        self.readings = iter(readings)

    def read(self):
        seconds, reading = next(self.readings)
        Scripted.now_ns += round(seconds * 1e9)
        if isinstance(reading, Exception):
            raise reading
        return reading

    def uncounted(self):
        return ()


@pytest.fixture
def sample(monkeypatch):
    """Take one sample with scripted readers, whose clock starts at the window's begin."""
    Scripted.now_ns = 0
    monkeypatch.setattr(sampler.time, "monotonic_ns", lambda: Scripted.now_ns)
    return lambda **readers: sampler._sample(readers, Window(0, 0, 10**9))


def reading(cpu_s, rss=1, throttling=None):
    return Reading(cpu_s, rss, throttling)


def test_a_subject_that_was_read_later_than_the_sample_carries_its_own_time(sample):
    taken, _ = sample(
        first=Scripted((0.0, reading(1))),
        slow=Scripted((0.01, reading(2))),
        next=Scripted((0.0, reading(3))),
    )

    assert taken == Sample(
        0.0, {"first": 1, "slow": 2, "next": 3}, dict.fromkeys(("first", "slow", "next"), 1),
        read_s={"slow": 0.005, "next": 0.01},
    )  # fmt: skip


def test_a_reading_that_was_interrupted_is_repeated(sample):
    taken, _ = sample(app=Scripted((2.0, reading(1)), (0.0, reading(7))))

    assert (taken.t_s, taken.cpu_s) == (2.0, {"app": 7})


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError(), OverflowError(), RecursionError(), TypeError(), OSError(5, "I/O error")]
)
def test_a_reader_that_fails_in_any_way_is_unread_and_ends_nothing(sample, fault):
    taken, unread = sample(app=Scripted((0.0, fault)), other=Scripted((0.0, reading(1))))

    assert (taken.cpu_s, unread) == ({"other": 1}, {"app"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e16, 1e308])
def test_values_out_of_bounds_are_unread(sample, value):
    taken, unread = sample(app=Scripted((0.0, reading(value, value, Throttling(1, 1, value)))))

    assert (taken, unread) == (Sample(0.0, {}, {}), {"app"})


def test_each_subject_is_divided_by_the_time_between_its_own_readings():
    samples = (
        Sample(0.0, {"app": 10.0}, {}),
        Sample(1.0, {"app": 12.0}, {}, read_s={"app": 2.0}),
    )

    assert cpu_of(ObservedFacts((), samples), "app", 1.0, 1.0).avg == 1.0


def test_the_time_of_a_sample_is_that_of_its_reading():
    own = os.getpid()
    readers = {"app": sampler.reader_for(Subject("app", Role.APP, "process", own, start_ticks(own)))}
    window = Window(0, time.monotonic_ns(), time.monotonic_ns() + 10**9)
    taken = [sampler._sample(readers, window)[0] for _ in range(50)]

    for before, after in itertools.pairwise(taken):
        # One thread of this process burns, so it cannot have used more CPU than time has passed.
        assert after.cpu_s["app"] - before.cpu_s["app"] <= (after.t_s - before.t_s) * os.cpu_count() + 0.005
