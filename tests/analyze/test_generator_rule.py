"""A generator that could not send its schedule: the finding names what kept it from that."""

from runner.analyze.rules.generator import generator_unable
from runner.core.load_facts import DropCauses
from runner.core.observed_results import Usage
from tests.analyze.stages import stage


def _found(**changes):
    finding = generator_unable(stage(**changes), 2)
    return {item.name: item.value for item in finding.evidence}, finding.advice


def test_a_pause_is_told_with_its_length_and_other_programs_that_took_the_cpu_are_told_with_theirs():
    used = {"generator": Usage(0.01, None), "other": Usage(1.88, None), "system": Usage(1.95, None)}
    stalled = {"longest_stall_s": 4.5, "drops": DropCauses(too_late=545)}

    evidence, advice = _found(cpu_cores=used, **stalled)

    assert evidence == {
        "generator did not run for": 4.5,
        "never sent in time": 545,
        "CPU of the host": 1.95,
        "CPU of other programs on the host": 1.88,
        "generator CPU": 0.01,
    }
    assert advice.startswith("other programs left no CPU: free this host of them")


def test_on_an_idle_machine_a_pause_is_no_lack_of_cores():
    used = {"generator": Usage(0.01, None), "system": Usage(0.2, None)}

    evidence, advice = _found(cpu_cores=used, longest_stall_s=4.5)

    assert evidence == {"generator did not run for": 4.5, "generator CPU": 0.01}
    assert advice.startswith("find out what kept the generator from running")


def test_a_generator_that_used_its_cores_needs_more():
    used = {"generator": Usage(1.9, None), "system": Usage(1.98, None)}

    evidence, advice = _found(cpu_cores=used)

    assert evidence == {"CPU of the host": 1.98, "generator CPU": 1.9}
    assert advice.startswith("give the generator more cores")
