"""Memory that grows in a straight line until the window ends has a note; steps, ends and noise have none."""

import math
import random

import pytest

from runner.analyze.memory_growth import growth_notes
from runner.core.codes import Role
from runner.core.observed_facts import ObservedFacts, Sample, Subject

WINDOW_S = 12
NOISE = random.Random(1)


def notes(of_app, *, role=Role.APP, responses=100.0, interval=1.0):
    """Return the notes about a part whose memory in MiB is a function of the time in seconds."""
    times = [interval * number for number in range(int(WINDOW_S / interval) + 1)]
    samples = [Sample(t, {"one": 0.0}, {"one": int(of_app(t) * 2**20)}) for t in times]
    observed = ObservedFacts(subjects=(Subject("one", role, "process", 1),), samples=tuple(samples))
    return list(growth_notes(observed, WINDOW_S, responses))


def test_a_leak_has_its_size_per_second_and_per_response():
    (note,) = notes(lambda t: 20 + 10 * t)

    assert note == (
        "the memory of app grew steadily from 20 to 140 MiB (10 MiB/s, 102 KiB per response) and was "
        "still growing when the window ended: it may be a leak, or a cache that was not full yet"
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda t: 20 + 10 * t + NOISE.uniform(-3, 3),
        lambda t: 1000 + 20 * t,
        lambda t: 20 + t**1.5,
    ],
    ids=["noise", "a large process", "faster and faster"],
)
def test_growth_is_noticed(use):
    assert len(notes(use)) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda t: 200,
        lambda t: 200 + NOISE.uniform(-20, 20),
        lambda t: 20 if t < 6 else 120,
        lambda t: 20 + 100 * (1 - math.exp(-t / 2)),
        lambda t: 20 + 20 * (t % 4),
        lambda t: 20 + 0.5 * t,
        lambda t: 1000 + 5 * t,
        lambda t: 200 - 10 * t,
    ],
    ids=[
        "level",
        "noise",
        "a step",
        "a cache that fills",
        "collected",
        "little",
        "little of much",
        "shrinks",
    ],
)
def test_other_memory_has_no_note(use):
    assert notes(use) == []


def test_services_count_and_the_generator_does_not():
    assert len(notes(lambda t: 20 + 10 * t, role="db", responses=None)) == 1
    assert notes(lambda t: 20 + 10 * t, role=Role.GENERATOR) == []


@pytest.mark.parametrize("interval", [4.0, 12.0, 20.0])
def test_few_samples_show_nothing(interval):
    assert notes(lambda t: 20 + 10 * t, interval=interval) == []
