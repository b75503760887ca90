"""Which nodes send load, and what the loss of some of them means for the stages that follow."""

from types import SimpleNamespace

import pytest
import trio

from runner.cluster.errors import AgentFailed
from runner.cluster.facts import LostAgent, ProbeResult
from runner.cluster.machine import describe_machine
from runner.cluster.placement import Node
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.core.load_facts import LoadFacts
from runner.core.node_facts import NodeLoad
from runner.execution.load_nodes import check_reachable, choose_nodes
from runner.execution.lost_nodes import agent_fault, lost_events, why_not_offered
from runner.execution.nodes import with_nodes
from tests.analyze.facts import results_of
from tests.analyze.node_facts import CALM, SPEC


def node(name, *, cores=2, state="ready", **labels):
    return Node(name, name, "", cores, 2**30, "amd64", state=state, labels=labels)


NODES = (node("a"), node("b", cores=8, role="load"), node("c", role="load"), node("d", state="down"))


def names(nodes):
    return [one.name for one in nodes]


@pytest.mark.parametrize(
    ("wanted", "options", "expected"),
    [
        (1, {}, ["b"]),
        (2, {}, ["a", "b"]),
        (2, {"busy": {"a", "b"}}, ["b", "c"]),
        (1, {"cores": {"a": 4, "b": 1, "c": 1}}, ["a"]),
        (("node.labels.role==load",), {"busy": {"b"}}, ["b", "c"]),
    ],
)
def test_free_nodes_come_first_then_those_with_more_cores_and_constraints_take_all(wanted, options, expected):
    assert names(choose_nodes(wanted, NODES, **options)) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (4, r"load.nodes is 4, but only 3 of the swarm's nodes can be used; nodes are .*a \(ready\)"),
        (("node.role==manager", "node.id!=a"), "is ready and meets node.role==manager and node.id!=a"),
    ],
)
def test_too_few_nodes_are_an_error_that_says_what_there_is(wanted, message):
    with pytest.raises(EnvironmentLacks, match=message):
        choose_nodes(wanted, NODES)


class Probes:
    """A cluster that answers probes; a node in `deaf` reaches nothing, a node in `lost` does not answer."""

    def __init__(self, deaf=(), lost=()):
        self.deaf, self.lost, self.asked = deaf, lost, []

    async def probe(self, name, host, port, *, within):
        self.asked.append((name, host, port))
        if name in self.lost:
            raise AgentFailed(f"{name}: the agent is lost: silent for 3 s")
        fault = "connection refused" if name in self.deaf else ""
        return ProbeResult(seconds=0.1, connect_s=None if fault else 0.1, error=fault)


def test_every_node_is_asked_for_every_address():
    cluster = Probes()
    endpoint = Endpoint("app", 80, addresses=("10.1.1.1", "10.1.1.2"))

    trio.run(check_reachable, endpoint, ("a", "b"), cluster)

    assert sorted(cluster.asked) == [
        (name, host, 80) for name in ("a", "b") for host in ("10.1.1.1", "10.1.1.2")
    ]


@pytest.mark.parametrize(
    ("cluster", "endpoint", "message"),
    [
        (
            Probes(deaf=("b",)),
            Endpoint("10.1.1.1", 80),
            "b cannot connect to 10.1.1.1 port 80: connection refused",
        ),
        (Probes(lost=("a",)), Endpoint("10.1.1.1", 80), "a: the agent is lost: silent for 3 s"),
        (
            Probes(),
            Endpoint("app", 80, address="127.0.1.1"),
            "app is 127.0.1.1, which on each node is that node",
        ),
        (Probes(), Endpoint("app", 80, address="::1"), "app is ::1, which on each node is that node itself"),
    ],
)
def test_what_a_node_cannot_reach_is_said_with_its_name(cluster, endpoint, message):
    with pytest.raises(EnvironmentLacks, match=message):
        trio.run(check_reachable, endpoint, ("a", "b"), cluster)


def site(lost=(), ceilings=None):
    agents = {name: LostAgent(node=name, reason="silent for 3 s", at_ns=0) for name in lost}
    return SimpleNamespace(names=("a", "b"), ceilings=ceilings or {}, cluster=SimpleNamespace(lost=agents))


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (site(), ""),
        (site(lost=("a",)), ""),
        (site(lost=("a",), ceilings={"a": 900.0, "b": 1_000.0}), ""),
        (
            site(lost=("a",), ceilings={"a": 900.0, "b": 999.0}),
            "b can offer 999 of 1,000 requests per second; lost are a (silent for 3 s)",
        ),
        (
            site(lost=("a", "b")),
            "no node is left that sends load; lost are a (silent for 3 s), b (silent for 3 s)",
        ),
    ],
)
def test_the_nodes_that_are_left_offer_a_stage_if_they_can(nodes, reason):
    assert why_not_offered(nodes, 1000) == reason


def test_events_name_the_nodes_that_were_lost_in_the_order_of_time():
    nodes = (
        NodeLoad("a", 1, 0.3, 3_000, lost="silent for 3 s", lost_at_s=9.5, not_offered=1_200),
        NodeLoad("b", 1, 0.3, 3_000),
        NodeLoad("c", 1, 0.3, 3_000, lost="its connection ended", lost_at_s=2.0, not_offered=3_000),
    )
    events = lost_events(LoadFacts("builtin", 3, 9_000, (), complete=True, clock="", nodes=nodes))

    assert [(event.code, event.message, event.t_s) for event in events] == [
        (
            "generator-lost",
            "generator lost on c: its connection ended; 3,000 requests not offered or without a known end",
            2.0,
        ),
        (
            "generator-lost",
            "generator lost on a: silent for 3 s; 1,200 requests not offered or without a known end",
            9.5,
        ),
    ]


def test_one_lost_hub_is_one_event_and_one_sentence():
    hub = "the hub on n0 was lost: its connection ended"
    nodes = tuple(
        NodeLoad(f"n{number}", 1, 0.2, 500, lost=hub, lost_at_s=2.0 + number / 1000, not_offered=100)
        for number in range(5)
    )

    (event,) = lost_events(LoadFacts("builtin", 5, 2_500, (), complete=True, clock="", nodes=nodes))

    missing = "500 requests not offered or without a known end"
    assert (event.message, event.t_s) == (f"generator lost on n0, n1, n2 and 2 more: {hub}; {missing}", 2.0)


def test_only_the_loss_of_agents_lets_a_run_go_on():
    lost, other = AgentFailed("node-1: lost"), EnvironmentLacks("no room")

    assert agent_fault(lost) is lost
    assert agent_fault(ExceptionGroup("", [ExceptionGroup("", [lost])])) is lost
    assert agent_fault(other) is None
    assert agent_fault(ExceptionGroup("", [lost, other])) is None


def test_a_stage_tells_the_nodes_that_were_lost_before_it_and_send_no_load():
    info = describe_machine((), ())
    names = ("load-1", "load-2", "load-3")
    lost = {
        name: LostAgent(node=name, reason="silent for 3 s", at_ns=0) for name in ("load-2", "load-3")
    }  # load-2 was lost in the stage
    machine = Node("id", "load-3", "10.0.0.3", cores=2, memory_bytes=0, architecture="amd64")
    cluster = SimpleNamespace(
        agents=dict.fromkeys(names, info), nodes={"load-3": machine}, lost=lost, hub_lost=""
    )
    context = SimpleNamespace(cluster=cluster, site=SimpleNamespace(names=names, returned=()))

    facts = with_nodes(CALM, context)

    note = "load-3 takes no part, and others send its load: it was lost before (silent for 3 s)"
    assert facts.load.notes == (*CALM.load.notes, note)
    (configuration,) = results_of(facts, spec=SPEC).configurations
    assert note in configuration.stages[0].notes
