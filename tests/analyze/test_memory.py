"""A process that the kernel killed for lack of memory, and whose it was."""

from runner.analyze.verdict import verdict
from runner.core.codes import StageStatus
from runner.core.observed_results import StageEvent
from tests.analyze.test_rules import counter, stage


def judged(*counters, **changes):
    return verdict(stage(achieved=0.5, counters=counters, **changes), 2)


def test_a_kill_that_only_the_hosts_counter_shows_may_be_another_programs():
    found = judged(counter("memory.oom_kills", "host", 0, 1))

    (hint,) = [finding for finding in found.findings if finding.code == "memory-limited"]
    assert hint.confidence == "hint"
    assert "another program" in hint.summary


def test_a_kill_in_the_apps_own_group_is_proven():
    found = judged(counter("memory.oom_kills", "app", 0, 1), counter("memory.oom_kills", "host", 0, 1))

    assert (found.code, found.confidence) == ("memory-limited", "proven")


def test_a_kill_on_the_host_explains_an_app_that_died():
    found = judged(counter("memory.oom_kills", "host", 0, 1), status=StageStatus.FAILED)

    assert found.code == "memory-limited"


def test_a_system_that_was_killed_without_a_counter_is_no_shortfall_that_nothing_explains():
    killed = StageEvent("app-died", "the app (shop) was ended by SIGKILL", 2.0, ())
    found = judged(status=StageStatus.FAILED, events=(killed,))

    (finding,) = found.findings
    assert found.code == "undetermined"
    assert finding.summary == "the app (shop) was ended by SIGKILL 2.0 s into the measured window"
    assert finding.evidence == ()
