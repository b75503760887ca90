"""A counter whose page was read late is shown with the seconds that it covers, and divided by no others."""

from types import SimpleNamespace

import pytest

from runner.analyze.kernel_counters import per_second, readings
from runner.core.observed_facts import Counter, ObservedFacts
from runner.report.counter_tables import changed_counters

LATE = Counter("nginx", "nginx.requests", "requests", "counter", 100, 700, from_s=0.5, to_s=12.5)
IN_TIME = Counter("nginx-2", "nginx.requests", "requests", "counter", 100, 700)


@pytest.fixture
def stage():
    counters = readings(ObservedFacts((), (), counters=(LATE, IN_TIME)))
    return SimpleNamespace(title="60 RPS", window_s=10.0, counters=counters, nodes=())


def test_its_rate_is_over_its_own_time(stage):
    assert [per_second(stage, counter) for counter in stage.counters] == [50, 60]


def test_the_table_of_counters_tells_its_time(stage):
    text = str(changed_counters(SimpleNamespace(stages=[stage])))

    assert "+600 (0.5 s to 12.5 s)" in text
    assert text.count("+600") == 2
    assert text.count(" s to ") == 1
