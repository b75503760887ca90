"""Several machines: each one's figures stand alone, add up, and are named in what is concluded from them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.merged_observation import merged
from runner.analyze.resource_usage import cpu_by_role, cpu_of
from runner.core.codes import Confidence, DoubtCode, Limit, Role, Validity
from runner.core.facts import Event, TrialFacts
from runner.core.observed_facts import Counter, ObservedFacts, Program
from runner.core.stage_results import Stage
from tests.analyze.facts import BUSY, results_of, second
from tests.analyze.node_facts import CALM, LOST, LOST_REASON, SHORT, SPEC, SYSTEM, node, node_load, observed


def _stage(facts: TrialFacts) -> Stage:
    stages = results_of(facts, spec=SPEC).configurations[0].stages
    return next(stage for stage in stages if stage.order == facts.order)


def _observing(facts: TrialFacts, **nodes: ObservedFacts) -> TrialFacts:
    assert facts.observed
    known = {**facts.observed.nodes, **{name.replace("_", "-"): it for name, it in nodes.items()}}
    return replace(facts, observed=replace(facts.observed, nodes=known))


def _loading(facts: TrialFacts, **changes: Any) -> TrialFacts:
    assert facts.load
    halves = (node_load("load-1", 8000), node_load("load-2", 8000, **changes))
    return replace(facts, load=replace(facts.load, nodes=halves))


def test_the_ledger_of_each_node_adds_up_to_all_that_was_used_on_it() -> None:
    for node_ in _stage(SHORT).nodes:
        used = {role: usage.avg for role, usage in node_.cpu_cores.items() if usage}
        assert sum(used.values()) - used["system"] == pytest.approx(used["system"]), node_.name


def test_the_stage_has_the_sum_of_each_role_and_no_host_of_its_own() -> None:
    stage = _stage(SHORT)

    used = {role: usage and usage.avg for role, usage in stage.cpu_cores.items()}
    assert used == {
        "app": pytest.approx(2 * 0.97 + 2 * 0.44), "proxy": pytest.approx(0.42),
        "generator": pytest.approx(1.2), "runner": pytest.approx(0.01), "other": None, "system": None,
    }  # fmt: skip


def test_engines_have_one_name_on_all_nodes_and_count_together() -> None:
    engines = {"shop_1": node({"dockerd": 0.25}), "shop_2": node({"dockerd": 0.5})}
    facts = _observing(SHORT, **engines)
    daemon = _stage(facts).cpu_cores["daemon"]

    assert daemon
    assert daemon.avg == pytest.approx(0.75)
    unread = replace(engines["shop_2"], samples=())
    assert _stage(_observing(facts, shop_2=unread)).cpu_cores["daemon"] is None


def test_each_subject_of_a_node_is_one_of_the_stage() -> None:
    stage = _stage(SHORT)
    assert list(stage.cpu_cores_by_subject) == [
        "app", "app-2", "app-3", "app-4", "generator-1", "generator-2", "nginx", "runner",
    ]  # fmt: skip


def test_the_cost_of_a_request_contains_all_cpu_of_all_nodes() -> None:
    stage = _stage(SHORT)

    whole = sum(usage.avg for node_ in stage.nodes if (usage := node_.cpu_cores["system"]))
    assert stage.cpu_us_per_request["system"] == pytest.approx(whole / 2600 * 1e6, rel=1e-4)


@given(st.floats(0, 2), st.floats(-0.09, 0.09))
def test_side_by_side_no_counter_changes_its_average(cores: float, lag_s: float) -> None:
    apart = node({"app-9": cores}, lag_s=lag_s)
    facts = ObservedFacts((), (), nodes={"a": node({"app": 0.5}), "b": apart})

    together = merged(facts)
    alone, used = cpu_of(apart, "app-9", 4, 1), cpu_of(together, "app-9", 4, 1)
    assert alone
    assert used
    assert used.avg == pytest.approx(alone.avg, abs=1e-6)


def test_one_machine_is_analyzed_as_before() -> None:
    assert BUSY.observed
    assert merged(BUSY.observed) is BUSY.observed


def test_the_cpu_of_a_system_beside_the_runner_is_judged_on_its_own_machine() -> None:
    assert BUSY.observed
    remote = {"load-1": node({"generator-9": 1.9, "system": 1.95})}
    facts = replace(BUSY, observed=replace(BUSY.observed, nodes=remote))
    stage = next(it for it in results_of(facts).configurations[0].stages if it.order == BUSY.order)

    alone = cpu_by_role(BUSY.observed, 4, 1)
    for role in (Role.SYSTEM, Role.OTHER):
        used, before = stage.cpu_cores[role], alone[role]
        assert used
        assert before
        assert used.avg == pytest.approx(before.avg, abs=1e-4)


def test_a_full_thread_is_named_with_its_node_and_that_nodes_cores() -> None:
    finding = _stage(SHORT).verdict.findings[0]

    assert (finding.code, finding.confidence, finding.node) == (Limit.APP_CPU, Confidence.LIKELY, "shop-1")
    assert finding.summary.startswith(
        "on shop-1, a thread of app used 0.97 of a core while the host used 2.00 of 2"
    )
    evidence = {item.name: item.value for item in finding.evidence}
    assert evidence["busiest thread of app on shop-1"] == 0.97


def test_cpu_of_several_nodes_is_never_taken_for_that_of_one() -> None:
    """Four replicas use 2.4 cores together, more than any node has, and no node is full."""
    stage = _stage(replace(SHORT, observed=observed(0.6, 0.6)))

    assert {finding.code for finding in stage.verdict.findings} & {Limit.HOST_CPU, Limit.APP_CPU} == set()
    assert stage.validity.status is Validity.VALID


def test_a_node_that_only_makes_load_is_no_limit_of_the_system_but_a_doubt() -> None:
    full = node({"generator-1": 1.5, "system": 1.95})
    stage = _stage(_observing(replace(SHORT, observed=observed(0.4, 0.4)), load_1=full))

    assert Limit.HOST_CPU not in {finding.code for finding in stage.verdict.findings}
    assert stage.validity.status is Validity.SUSPECT
    assert stage.validity.reasons == (
        "on load-1, the generator used 150 % of its 1 core; from 80 % it may be the limit itself",
        "load-1 used 1.95 of its 2 cores, 1.50 of them for the generator, which may have sent late",
    )


def test_replicas_that_work_more_on_one_node_are_evidence() -> None:
    uneven, even = _stage(SHORT), _stage(replace(SHORT, observed=observed(0.97, 0.9)))

    names = ["CPU of a replica on shop-1", "CPU of a replica on shop-2"]
    shown = {item.name: item.value for item in uneven.verdict.findings[0].evidence}
    assert [shown[name] for name in names] == [0.97, 0.44]
    assert not {item.name for item in even.verdict.findings[0].evidence} & set(names)


def test_a_lost_generator_makes_the_stage_invalid_and_says_what_was_not_offered() -> None:
    stage = _stage(LOST)

    assert (stage.validity.status, stage.validity.reasons) == (Validity.INVALID, (LOST_REASON,))
    assert [doubt.code for doubt in stage.validity.doubts] == [DoubtCode.GENERATOR_LOST]
    finding = stage.verdict.findings[0]
    assert (finding.code, finding.node) == (Limit.GENERATOR, "load-2")
    assert "check load-2" in finding.advice


def test_nodes_that_are_all_lost_for_one_reason_are_not_to_be_checked_one_by_one() -> None:
    load = LOST.load
    assert load
    gone = tuple(
        replace(node, lost="the hub was lost: it ended", lost_at_s=2.5, not_offered=3000, scheduled=5000)
        for node in load.nodes
    )
    finding = _stage(replace(LOST, load=replace(load, nodes=gone))).verdict.findings[0]

    assert "on load-1, load-2 was lost at once" in finding.summary
    assert finding.advice.startswith("check what these nodes share: the hub, and the manager")


def test_a_late_or_unknown_start_and_a_drift_are_stated() -> None:
    assert _stage(SHORT).notes == ()
    assert _stage(_loading(SHORT, start_error_ns=1_400_000)).notes == (
        "the load of load-2 began up to 1.40 ms before or after that of other nodes",
    )
    assert _stage(_loading(SHORT, clock=None, start_error_ns=None)).notes == (
        "the clock of load-2 could not be compared with the runner's well enough to tell when its load began",
    )
    clock = node_load("load-2", 1).clock
    assert clock
    assert _stage(_loading(SHORT, clock=replace(clock, drift_ns=-3_000_000))).notes == (
        "the clock of load-2 lost 3.00 ms against the runner's during the stage",
    )


def test_a_node_that_takes_part_again_is_named() -> None:
    assert _stage(_loading(SHORT, returned=True)).notes == (
        "load-2 was lost before and takes part again, with a new agent",
    )


def test_programs_disturb_the_node_that_they_run_on() -> None:
    stress = node({"app-3": 0.4, "app-4": 0.4, "system": 1.9}, programs=(Program("stress", (7,), 0.9),))
    stage = _stage(_observing(CALM, shop_2=stress))

    assert stage.validity.disturbed
    (reason,) = stage.validity.reasons
    assert reason == (
        "programs outside the experiment (stress (pid 7) 0.90) used 0.90 of the 2 cores of shop-2; from 10 % "
        "they may change its results"
    )


def _on_one_machine(facts: TrialFacts, *names: str) -> TrialFacts:
    """Return facts of which these nodes are on one machine."""
    known = {
        name: replace(it, same_machine=tuple(n for n in names if n != name)) if name in names else it
        for name, it in (SYSTEM.nodes or {}).items()
    }
    return replace(facts, topology=replace(SYSTEM, nodes=known))


def test_nodes_on_one_machine_do_not_disturb_each_other() -> None:
    full = {
        "shop_1": node({"app": 0.5, "app-2": 0.5, "system": 1.99}),
        "shop_2": node({"app-3": 0.4, "app-4": 0.4, "system": 1.99}),
    }
    apart = _observing(CALM, **full)
    together = _on_one_machine(apart, "shop-1", "shop-2")

    (reason,) = _stage(apart).validity.reasons
    assert reason == (
        "shop-1 had no CPU left: of its 2 cores, programs that no agent can see used 0.98; shop-2 had no CPU "
        "left: of its 2 cores, programs that no agent can see used 1.18"
    )
    assert _stage(together).validity.reasons == ()


def test_what_no_node_of_a_machine_sees_is_told_once() -> None:
    full = {
        "shop_1": node({"app": 0.2, "app-2": 0.2, "system": 1.99}),
        "shop_2": node({"app-3": 0.2, "app-4": 0.2, "system": 1.99}, programs=(Program("cron", (7,), 0.1),)),
    }
    (reason,) = _stage(_on_one_machine(_observing(CALM, **full), "shop-1", "shop-2")).validity.reasons

    assert reason == (
        "the machine of shop-1 and shop-2 had no CPU left: of its 2 cores, programs outside the experiment "
        "(cron (pid 7) 0.10) used 0.10, and programs that no agent can see used 1.07"
    )


def test_cpu_of_a_machine_is_counted_once_however_many_nodes_it_is() -> None:
    whole = {node_.name: node_.cpu_cores["system"] for node_ in _stage(SHORT).nodes}
    assert all(whole.values())
    used = {name: usage.avg for name, usage in whole.items() if usage}
    shared = ("edge", "load-1", "load-2")

    cost = _stage(_on_one_machine(SHORT, *shared)).cpu_us_per_request["system"]
    once = used["shop-1"] + used["shop-2"] + max(used[name] for name in shared)
    assert cost == pytest.approx(once / 2600 * 1e6, rel=1e-4)


def test_an_observer_that_was_late_is_named() -> None:
    late = node({"nginx": 0.4, "system": 0.6}, seconds=6.0)
    (reason,) = _stage(_observing(CALM, edge=late)).validity.reasons

    assert reason.startswith("the observer on edge was 2.0 s late in a window of 4 s")


def test_a_node_that_nobody_could_observe_is_listed_without_figures() -> None:
    assert CALM.observed
    nodes = {name: it for name, it in CALM.observed.nodes.items() if name != "load-2"}
    stage = _stage(replace(CALM, observed=replace(CALM.observed, nodes=nodes)))

    unseen = next(node_ for node_ in stage.nodes if node_.name == "load-2")
    assert (unseen.cpu_cores, unseen.cores) == ({}, 2)
    assert unseen.load is not None


def test_a_node_without_a_free_port_is_named_and_others_are_not() -> None:
    """Only nodes that send load can have had no port."""
    ports = Counter("net:generator-2", "ports.in_use", "count", "gauge", 0, 28_232, 28_232, 28_232)
    lacking = replace(SHORT, observed=observed(0.3, 0.3))
    seconds = tuple(
        replace(second(n, 4000, 2600, 5.0), sent=4000, dropped=0, failures={"no_port": 1400})
        for n in range(4)
    )
    assert lacking.load
    lacking = replace(lacking, load=replace(lacking.load, seconds=seconds))
    full = node({"generator-2": 0.3, "system": 0.4}, counters=(ports,))
    finding = _stage(_observing(lacking, load_2=full)).verdict.findings[0]

    assert (finding.code, finding.node) == (Limit.CONNECTION, "load-2")
    assert finding.summary.startswith("on load-2, 5,600 requests found no free local port; there are 28,232")


def test_a_full_service_on_a_node_of_its_own_is_found_there() -> None:
    thread = Counter("db", "threads.hottest_cores", "cores", "gauge", 0.98, 0.98)
    db = node({"db": 0.99, "system": 1.1}, counters=(thread,))
    finding = _stage(_observing(replace(SHORT, observed=observed(0.3, 0.3)), edge=db)).verdict.findings[0]

    assert (finding.code, finding.node, finding.service) == (Limit.SERVICE, "edge", "db")
    assert finding.summary.startswith(
        "on edge, a thread of db used 0.98 of a core while the host used 1.10 of 2"
    )


def test_requests_that_wait_while_no_node_is_busy_are_judged_with_the_busiest_one() -> None:
    growing = tuple(replace(second(n, 4000, 2600, 180.0), in_flight=500) for n in range(4))
    assert SHORT.load
    waiting = replace(SHORT, observed=observed(0.3, 0.4), load=replace(SHORT.load, seconds=growing))
    finding = _stage(waiting).verdict.findings[0]

    assert (finding.code, finding.node) == (Limit.APP_CONCURRENCY, UNSET)
    assert "while shop-2, the busiest node, used 0.95 of 2 cores" in finding.summary


def test_requests_that_wait_in_replicas_on_one_node_wait_there() -> None:
    growing = tuple(replace(second(n, 4000, 2600, 180.0), in_flight=500) for n in range(4))
    assert SHORT.load
    waiting = replace(SHORT, observed=observed(0.3, 0.4), load=replace(SHORT.load, seconds=growing))
    elsewhere = node({"system": 1.1})
    finding = _stage(_observing(waiting, shop_1=elsewhere)).verdict.findings[0]

    assert (finding.code, finding.node) == (Limit.APP_CONCURRENCY, "shop-2")


def test_memory_that_ran_out_on_a_node_is_named() -> None:
    kills = Counter("app-3", "memory.oom_kills", "count", "counter", 0, 2)
    killed = node({"app-3": 0.2, "app-4": 0.2, "system": 0.5}, counters=(kills,))
    stage = _stage(_observing(replace(SHORT, observed=observed(0.3, 0.3)), shop_2=killed))

    finding = next(one for one in stage.verdict.findings if one.code is Limit.MEMORY)
    assert finding.summary == "on shop-2, the kernel killed a process for lack of memory"


def test_a_part_that_was_killed_at_its_memory_limit_is_judged_on_its_own_node() -> None:
    killed = "app-3 on shop-2 was killed by SIGKILL, most likely at its memory limit of 48 MiB"
    kills = Counter("host", "memory.oom_kills", "count", "counter", 4, 5)
    shop_1, shop_2 = (node({"system": 1.0, name: 0.9}, counters=(kills,)) for name in ("app", "app-3"))
    event = Event("out-of-memory", killed, 2.0, node="shop-2")
    verdict = _stage(
        replace(_observing(CALM, shop_1=shop_1, shop_2=shop_2), status="failed", events=(event,))
    ).verdict

    (finding, *_) = verdict.findings
    assert (finding.code, finding.node, finding.summary) == ("memory-limited", "shop-2", killed)
    assert [it.name for it in finding.evidence] == ["processes killed for lack of memory (host) on shop-2"]


def test_what_differs_between_nodes_is_ruled_out_for_each_and_what_is_equal_once() -> None:
    stage = _stage(replace(SHORT, observed=observed(0.6, 0.3)))

    out = {one.code: one.why for one in stage.verdict.ruled_out or ()}
    assert out[Limit.APP_QUOTA] == "no CPU limit was set"
    assert out[Limit.APP_CPU] == (
        "on shop-1, the app's busiest thread used 0.60 of a core; on shop-2, the app's busiest thread used "
        "0.30 of a core"
    )


def test_what_is_ruled_out_on_the_only_node_of_a_system_names_that_node() -> None:
    facts = replace(SHORT, observed=observed(0.6, 0.6))
    assert facts.observed
    nodes = {name: seen for name, seen in facts.observed.nodes.items() if name != "shop-2"}
    stage = _stage(replace(facts, observed=replace(facts.observed, nodes=nodes)))

    (why,) = (out.why for out in stage.verdict.ruled_out or () if out.code == Limit.HOST_CPU)
    assert why.startswith("on shop-1, the host used ")


def test_of_many_nodes_the_verdict_rests_on_all_counters_and_results_keep_those_that_changed() -> None:
    quiet = Counter("net:host", "tcp.listen_overflows", "count", "counter", 7, 7)
    rising = Counter("net:host", "tcp.retransmits", "count", "counter", 7, 9)
    more = {f"more_{n}": node({"system": 0.1}, counters=(quiet, rising)) for n in range(20)}
    stage = _stage(_observing(replace(SHORT, observed=observed(0.3, 0.3)), **more))

    assert len(stage.nodes) == 25
    kept = {counter.name for one in stage.nodes for counter in one.counters}
    assert kept == {"tcp.retransmits", "tcp.syn_retransmits", "threads.hottest_cores"}
    assert Limit.CONNECTION in {out.code for out in stage.verdict.ruled_out or ()}


def test_replicas_are_listed_by_number_on_whatever_node_they_are() -> None:
    nodes = {
        "a": node({"app-10": 0.1, "app-1": 0.1}), "b": node({"app-2": 0.1, "nginx": 0.1}),
    }  # fmt: skip
    names = [one.name for one in merged(ObservedFacts((), (), nodes=nodes)).subjects]

    assert names == ["app-1", "app-2", "app-10", "nginx"]
