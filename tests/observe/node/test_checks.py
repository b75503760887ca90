"""What an agent sends is used only as far as it can be true and can be shown."""

import math

import pytest
from msgspec.structs import replace

from runner.core.observed_facts import (
    Counter,
    ObservedFacts,
    Program,
    Sample,
    Subject,
    Throttling,
    Unreadable,
)
from runner.observe.node.checks import checked_facts, checked_sample

EXPECTED = {
    "app": Subject("app", "app", "cgroup", 7),
    "agent": Subject("agent", "runner", "process"),
    "system": Subject("system", "system", "system"),
}
SAMPLE = Sample(
    1.0, {"app": 2.0, "system": -5.0}, {"app": 4096}, {"app": Throttling(3, 1, 0.5)}, {"app": 1.002}
)
COUNTER = Counter("net:app", "tcp.accept_queue.80", "connections", "gauge", 0, 1, 2, 128)


def checked(sample):
    return checked_sample(sample, EXPECTED, 0.5, 10.0)


def test_a_sample_of_expected_subjects_stays_as_it_is():
    assert checked(SAMPLE) == SAMPLE


def test_subjects_that_nobody_asked_for_are_left_out():
    more = replace(SAMPLE, cpu_s={"app": 2.0, "system": -5.0, "other": 1.0}, rss_bytes={"app": 4096, "x": 1})

    assert checked(more) == SAMPLE


def test_processes_of_the_engine_need_not_be_asked_for():
    engine = {
        "dockerd": 1.0,
        "containerd-2": 2.0,
        "containerd-shim-12": 3.0,
        "hub": 0.5,
        "docker-proxy-2": 0.1,
    }
    more = replace(SAMPLE, cpu_s={**SAMPLE.cpu_s, **engine, "dockerd-x": 1.0, "dockerd-0": 1.0})

    assert checked(more) == replace(SAMPLE, cpu_s={**SAMPLE.cpu_s, **engine})


@pytest.mark.parametrize(
    "change",
    [
        {"t_s": 0.5},
        {"t_s": 10.1},
        {"t_s": math.nan},
        {"cpu_s": {"app": math.inf}},
        {"cpu_s": {"app": 1e300}},
        {"rss_bytes": {"app": 2**70}},
        {"throttling": {"app": Throttling(-1, 0, 0.0)}},
        {"throttling": {"app": Throttling(0, 0, math.nan)}},
        {"read_s": {"app": -math.inf}},
    ],
)
def test_a_sample_that_cannot_be_true_is_refused(change):
    assert checked(replace(SAMPLE, **change)) is None


def test_facts_of_an_honest_agent_stay_as_they_are():
    facts = ObservedFacts(
        subjects=(
            Subject("app", "app", "cgroup", 7, 99),
            Subject("agent", "runner", "process", 8, 98),
            Subject("system", "system", "system"),
            Subject("containerd-shim-2", "daemon", "process", 9, 97),
            Subject("hub", "runner", "process", 10, 96),
            Subject("docker-proxy", "forwarder", "process", 11, 95),
        ),
        samples=(),
        notes=("a note",),
        counters=(COUNTER, Counter("host", "memory.available_bytes", "bytes", "gauge", 1, 1)),
        unreadable=(Unreadable("net:app", "tcp.listener_drops", "not permitted"),),
        programs=(Program("redis-server", (4, 5), 0.25, 0.2),),
    )

    assert checked_facts(facts, EXPECTED) == facts


def test_facts_that_cannot_be_true_or_shown_are_left_out():
    facts = ObservedFacts(
        subjects=(Subject("app", "generator", "cgroup", 7), Subject("dockerd", "app", "cgroup", 9)),
        samples=(SAMPLE,),
        notes=("\x1b[31mred\n" + "x" * 1000,) * 1000,
        counters=(
            replace(COUNTER, name="x\n| table |"),
            replace(COUNTER, unit="<b>"),
            replace(COUNTER, after=-1.0),
            replace(COUNTER, peak=math.nan),
            replace(COUNTER, scope=""),
        ),
        unreadable=(Unreadable("net:app", "x\x00", "why\r"), Unreadable("a b", "x", "y")),
        programs=(
            Program("", (1,), 0.1),
            Program("x", (1,), -0.1),
            Program("y\x07", tuple(range(100)), 0.1, serves=True, port=80),
        ),
        nodes={"inner": ObservedFacts((), ())},
    )

    result = checked_facts(facts, EXPECTED)

    assert result.subjects == tuple(EXPECTED.values())
    assert result.samples == ()
    assert len(result.notes) == 100
    assert result.notes[0] == ("?[31mred?" + "x" * 1000)[:200]
    assert result.counters == ()
    assert result.unreadable == (Unreadable("net:app", "x?", "why?"),)
    assert result.programs == (Program("y?", tuple(range(16)), 0.1),)
    assert result.nodes == {}
