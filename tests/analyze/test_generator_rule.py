"""A generator that could not send its schedule: the finding names what kept it from that."""

import pytest
from msgspec.structs import replace

from runner.analyze.machines import Machine
from runner.analyze.rules.generator import advice_for, generator_unable
from runner.analyze.verdict import verdict
from runner.core.codes import Confidence, DoubtCode, Limit, Validity
from runner.core.judgements import Doubt, StageValidity
from runner.core.load_facts import DropCauses
from runner.core.measured import Requests
from runner.core.node_results import NodeLoadResults, NodeResults
from runner.core.observed_results import Usage
from runner.report.limit_text import limit
from runner.report.markdown_text import unmarked
from tests.analyze.stages import stage


def _found(**changes):
    finding = generator_unable(stage(**changes), 2)
    return {item.name: item.value for item in finding.evidence}, finding.advice


def test_a_pause_is_told_with_its_length_and_other_programs_that_took_the_cpu_are_told_with_theirs():
    used = {"generator": Usage(0.01, None), "other": Usage(1.88, None), "system": Usage(1.95, None)}
    stalled = {"longest_stall_s": 4.5, "drops": DropCauses(too_late=545)}

    evidence, advice = _found(cpu_cores=used, **stalled)

    assert evidence == {
        "longest time in which the generator did not run": 4.5,
        "never sent in time": 545,
        "CPU of the host": 1.95,
        "CPU of other programs on the host": 1.88,
        "generator CPU": 0.01,
    }
    assert advice.startswith("other programs left no CPU: free this host of them")


def test_on_an_idle_machine_a_pause_is_no_lack_of_cores():
    used = {"generator": Usage(0.01, None), "system": Usage(0.2, None)}

    evidence, advice = _found(cpu_cores=used, longest_stall_s=4.5)

    assert evidence == {"longest time in which the generator did not run": 4.5, "generator CPU": 0.01}
    assert advice.startswith("find out what kept the generator from running (a CPU quota")


def test_of_several_nodes_the_one_that_paused_longest_is_named():
    nodes = tuple(
        NodeResults(name, load=NodeLoadResults(1, 0.3, 10, longest_stall_s=stall_s))
        for name, stall_s in (("node-1", 0.6), ("node-2", 4.5), ("node-3", 0.0))
    )

    evidence, _ = _found(nodes=nodes, longest_stall_s=4.5)

    assert evidence == {"longest time in which the generator on node-2 did not run": 4.5}


def test_a_generator_that_used_its_cores_needs_more():
    used = {"generator": Usage(1.9, None), "system": Usage(1.98, None)}

    evidence, advice = _found(cpu_cores=used)

    assert evidence == {"CPU of the host": 1.98, "generator CPU": 1.9}
    assert advice.startswith("give the generator more cores")


NODES_FULL = {"generator": Usage(0.02, None), "other": Usage(1.9, None), "system": Usage(2.0, None)}


def test_all_full_machines_of_generators_are_named():
    full = [Machine(name, stage(cpu_cores=NODES_FULL), 2) for name in ("load-1", "load-2")]

    advice = advice_for(stage(longest_stall_s=4.5), full)

    assert advice.startswith("other programs left no CPU: free load-1 and load-2 of them")


def _paused(*, stall_s, **changes):
    doubt = Doubt(DoubtCode.WORKER_LOST, ("generator worker 1",))
    invalid = StageValidity(Validity.INVALID, ("generator worker 1 did not run",), doubts=(doubt,))
    lost = Requests(12_000, 1_794, 1_782, 12, 10_206, {"timeout": 12})
    made = {"requests": lost, "validity": invalid, "window_s": 8.0, "achieved": 0.15, "drops": DropCauses()}
    return stage(longest_stall_s=stall_s, cpu_cores=NODES_FULL, **made | changes)


def test_a_short_pause_makes_a_stage_invalid_but_is_no_limit_where_most_was_dropped_otherwise():
    found = verdict(_paused(stall_s=0.64), 2, max_in_flight=2000)

    first, *others = found.findings
    assert (found.code, first.confidence) == (Limit.UNDETERMINED, Confidence.HINT)
    assert (
        "for at most 9 % of the 10,218 requests that were lost: 10,206 were dropped because" in first.summary
    )
    assert [(one.code, one.confidence) for one in others] == [(Limit.HOST_CPU, Confidence.HINT)]


@pytest.mark.parametrize(
    "changes",
    [
        {"stall_s": 3.0},
        {"stall_s": 0.0},
        {"stall_s": 0.64, "drops": DropCauses(not_offered=9_000)},
        {"stall_s": 0.64, "drops": None},
        {"stall_s": 0.64, "requests": Requests(12_000, 12_000, 11_900, 100, 0, {"timeout": 100})},
    ],
)
def test_a_generator_that_may_have_lost_more_or_an_unknown_share_is_the_limit(changes):
    assert verdict(_paused(**changes), 2).code is Limit.GENERATOR


def test_what_an_invalid_stage_shows_is_told_as_a_hint():
    paused = _paused(stall_s=0.64)
    text = unmarked(limit(replace(paused, verdict=verdict(paused, 2))))

    assert text.startswith(
        "undetermined (hint). The stage is invalid because the generator did not run for 0.6 s"
    )
    assert "Also observed: host-cpu-limited (hint)" in text
    assert "if as many are lost again, the generator is not the reason" in text


def test_a_time_in_evidence_has_its_unit():
    paused = _paused(stall_s=3.0)

    assert "the generator did not run 3 s" in unmarked(limit(replace(paused, verdict=verdict(paused, 2))))
