"""What reports say about several machines, beside the golden copies; on one machine they stay the same."""

from __future__ import annotations

import csv
import io

import pytest
from msgspec.structs import replace

from runner.analyze.comparability import other_differences
from runner.core.observed_results import ProgramUsage, UnreadableCounter
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.core.system_facts import LimitFacts
from runner.report import programs
from runner.report.charts.cpu import cpu_by_role
from runner.report.charts.nodes import cpu_by_node as cpu_by_node_chart
from runner.report.counter_tables import not_readable
from runner.report.csv_table import render_csv
from runner.report.junit import render_junit
from runner.report.markdown import render_markdown
from runner.report.nodes import MOST_NODES, beyond_one_node, cpu_by_node, left_out, load_by_node
from runner.report.page.render import render_page
from runner.report.summary import doubts, summary_rows
from runner.report.system_text import described
from tests.analyze.facts import BUSY, HEALTHY, results_of
from tests.analyze.node_facts import CALM, LOST, LOST_REASON, SHORT, SPEC, SYSTEM

RESULTS = results_of(CALM, SHORT, spec=SPEC)
CUT = results_of(CALM, LOST, spec=SPEC)
ALONE = results_of(HEALTHY, BUSY)


def _short(results: Results = RESULTS) -> Stage:
    return results.configurations[0].stages[1]


def _rows(results: Results) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(results))))


def test_a_table_for_spreadsheets_has_a_row_for_each_node_with_its_own_numbers() -> None:
    rows = [row for row in _rows(RESULTS) if row["stage"] == "4,000 RPS"]

    assert [row["node"] for row in rows] == ["", "edge", "load-1", "load-2", "shop-1", "shop-2"]
    whole, _, load_1, _, shop_1, shop_2 = rows
    assert float(whole["cpu_cores.app.avg"]) == 2.82
    assert [float(row["cpu_cores.app.avg"]) for row in (shop_1, shop_2)] == [1.94, 0.88]
    assert [float(row["cpu_cores.system.avg"]) for row in (shop_1, shop_2)] == [2.0, 1.03]
    assert (load_1["clock_error_ms"], load_1["scheduled"], load_1["actual_rps"]) == ("0.0615", "8000", "")


def test_on_one_machine_it_has_no_columns_about_nodes() -> None:
    assert not {"node", "clock_offset_s", "lost"} & set(_rows(ALONE)[0])


def test_programs_that_read_the_outcome_are_told_the_node() -> None:
    assert summary_rows(RESULTS)[1]["verdict"] == "app-cpu-limited on shop-1"
    assert "app-cpu-limited on shop-1 (likely): on shop-1, a thread of app used" in render_junit(RESULTS)
    assert f'message="{LOST_REASON}"' in render_junit(CUT)
    assert list(doubts(CUT)) == [f"The results for 4,000 RPS are invalid: {LOST_REASON}."]


def test_the_page_has_the_tables_of_nodes_and_no_column_for_a_host() -> None:
    page = render_page(RESULTS)

    assert "app-cpu-limited on shop-1" in page
    assert "Avg Host CPU" not in page
    assert "Avg Host CPU" in render_page(ALONE)


def test_the_chart_of_cpu_draws_no_hosts_limit_over_the_sum_of_nodes() -> None:
    several, alone = cpu_by_role(RESULTS), cpu_by_role(ALONE)

    assert several
    assert alone
    assert "all nodes together" in several.alt
    assert "the host's 4 cores" in alone.alt


def test_the_chart_of_nodes_says_which_was_busiest_of_its_own_cores() -> None:
    chart = cpu_by_node_chart(RESULTS)

    assert chart
    assert chart.title == "At 4,000 RPS, shop-1 used 2.00 of its 2 cores, and edge 0.61 of 2"
    rows = chart.spec["data"]["values"]
    assert {row["series"]: row["share"] for row in rows if row["stage"] == "4,000 RPS"} == {
        "edge": 30.5, "load-1": 36.0, "load-2": 37.0, "shop-1": 100.0, "shop-2": 51.5,
    }  # fmt: skip
    assert cpu_by_node_chart(ALONE) is None


def test_programs_outside_are_named_with_their_node() -> None:
    stress = ProgramUsage("stress", (7,), 0.5)
    nodes = tuple(replace(node, programs=(stress,)) for node in _short().nodes[:1])
    configuration = replace(RESULTS.configurations[0], stages=(replace(_short(), nodes=nodes, programs=()),))

    lines = list(programs.terminal_lines([configuration]))
    assert lines == ["Other programs used up to: stress (pid 7) on edge 0.50 cores."]
    assert "stress (pid 7) on edge" in programs.programs_outside(configuration.stages)


def test_counters_that_no_node_can_read_are_said_once() -> None:
    gone = (UnreadableCounter("net:app", "peers", "needs CAP_SYS_PTRACE"),)
    nodes = tuple(replace(node, unreadable=gone) for node in _short().nodes)
    configuration = replace(RESULTS.configurations[0], stages=(replace(_short(), nodes=nodes),))

    assert not_readable([configuration]) == [
        "edge, load-1, load-2, shop-1 and 1 more node: `peers`: needs CAP\\_SYS\\_PTRACE."
    ]


def test_a_rate_that_no_node_could_offer_alone_is_pointed_out() -> None:
    assert beyond_one_node([_short()]) == (
        "No node alone could have offered 4,000 RPS: the highest maximum rate is 3,100 RPS, of load-2."
    )
    assert beyond_one_node(RESULTS.configurations[0].stages[:1]) == ""


def test_users_who_wait_for_responses_have_no_requests_due_on_a_node() -> None:
    stage = _short()
    waiting = [replace(node, load=node.load and replace(node.load, planned=0)) for node in stage.nodes]
    closed = load_by_node([replace(stage, nodes=tuple(waiting))])

    due = [line.split("|")[4].strip() for line in closed.splitlines() if line.startswith("| 4,000 RPS")]
    assert due == ["–", "–"]


def test_of_very_many_nodes_the_busiest_are_shown_and_the_others_counted() -> None:
    first = _short().nodes[0]
    nodes = tuple(replace(first, name=f"node-{number:03}") for number in range(40))
    stage = replace(_short(), nodes=(*_short().nodes, *nodes))

    shown = cpu_by_node([stage])
    assert shown.count(": total") == MOST_NODES
    assert "shop-1: app" in shown
    assert left_out([stage]) == "29 more nodes in results.json"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"path": "host"}, "shop: network path"),
        ({"placement": {**(SYSTEM.placement or {}), "app-4": "shop-1"}}, "shop: subjects on each node"),
        ({"nodes": {"shop-1": (SYSTEM.nodes or {})["shop-1"]}}, "shop: nodes"),
    ],
)
def test_other_machines_and_other_placement_are_differences_between_runs(
    changed: dict[str, object], what: str
) -> None:
    configuration = RESULTS.configurations[0]
    other = replace(configuration, topology=replace(configuration.topology, **changed))

    differences = other_differences([RESULTS], [replace(RESULTS, configurations=(other,))])
    assert what in [difference.what for difference in differences]
    assert other_differences([RESULTS], [RESULTS]) == ()


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        (LimitFacts(cpus=0.5, memory_mib=None), {"limits.cpus": ("not set", "0.5")}),
        (
            LimitFacts(cpus=2.0, memory_mib=65536.0),
            {"limits.cpus": ("not set", "2"), "limits.memory (MiB)": ("not set", "65536")},
        ),
    ],
)
def test_a_limit_on_one_side_only_is_a_difference(limits, shown):
    configuration = RESULTS.configurations[0]
    without = replace(configuration, topology=replace(configuration.topology, limits=None))
    with_limit = replace(configuration, topology=replace(configuration.topology, limits=limits))

    differences = other_differences(
        [replace(RESULTS, configurations=(without,))], [replace(RESULTS, configurations=(with_limit,))]
    )
    assert {one.what: (one.base, one.head) for one in differences} == {
        f"{configuration.name}: topology.{what}": values for what, values in shown.items()
    }


def test_names_of_nodes_are_text_and_not_markup() -> None:
    nodes = tuple(replace(node, name="<b>*n*</b>|x") for node in _short().nodes[:1])
    stage = replace(_short(), nodes=nodes)
    configuration = replace(RESULTS.configurations[0], stages=(stage,))

    report = render_markdown(replace(RESULTS, configurations=(configuration,)))
    assert "<b>" not in report


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("overlay", "(3 nodes, overlay network)"),
        ("published", "(3 nodes, published ports)"),
        ("host", "(3 nodes, the nodes' own networks)"),
    ],
)
def test_the_sentence_about_the_system_names_its_network_path(path: str, words: str) -> None:
    shown = replace(RESULTS.configurations[0], topology=replace(SYSTEM, path=path))

    assert f"4 replicas in a Docker Swarm {words} behind Nginx" in described(shown)


def _on_machines(*groups: set[str]) -> Results:
    """Return the results as if the nodes of each group shared a machine."""
    assert SYSTEM.nodes
    nodes = {
        name: replace(node, same_machine=tuple(sorted(group - {name})))
        for name, node in SYSTEM.nodes.items()
        for group in [next((group for group in groups if name in group), {name})]
    }
    (one,) = RESULTS.configurations
    return replace(RESULTS, configurations=(replace(one, topology=replace(SYSTEM, nodes=nodes)),))


ALL = "All 5 nodes are one machine: they share its processors, and no request leaves it."
EDGE = "load-1 and edge are one machine: they share its processors."
PAIRS = " ".join(
    f"{one}-1 and {one}-2 are one machine: they share its processors." for one in ("load", "shop")
)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((set(SYSTEM.nodes or ()),), ALL),
        (({"load-1", "edge"},), EDGE),
        (({"load-1", "load-2"}, {"shop-1", "shop-2"}), PAIRS),
    ],
)
def test_nodes_that_share_a_machine_are_told_where_the_system_and_its_network_are(groups, words) -> None:
    text = render_markdown(_on_machines(*groups))

    before, _, after = text.partition("Test Results")
    assert words in before
    assert words in after
    assert words.partition(":")[0] in render_page(_on_machines(*groups))


def test_requests_to_a_service_elsewhere_leave_the_machine_that_all_nodes_share() -> None:
    (one,) = _on_machines(set(SYSTEM.nodes or ())).configurations

    assert "no request leaves it" in described(one)
    elsewhere = replace(one, topology=replace(one.topology, path=None, url="http://shop.example"))
    assert described(elsewhere).endswith("All 5 nodes are one machine: they share its processors.")


def test_nodes_of_their_own_machines_are_not_told_to_share_one() -> None:
    assert "one machine" not in render_markdown(RESULTS).partition("## Appendix")[0]
