"""Load from several nodes: one schedule by clocks that differ, exact counts, and nodes that are lost."""

from collections import Counter
from functools import partial

import pytest
import trio

from runner.core import histogram
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.experiment.model import Load, Stage
from runner.load import builtin
from runner.load.builtin import offer
from runner.load.engine import LoadOrder
from runner.load.messages import WorkerSecond, decode_progress
from tests.load.local_nodes import ERROR_NS, local_nodes
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TWO = {"node-1": 0, "node-2": 5_000}


def responds(client, _):
    client.sendall(OK)


async def offered(port, nodes, *, rps=100, duration="2s", on_second=lambda _: None, **load):
    order = LoadOrder(
        Endpoint("127.0.0.1", port), Load(**load), Stage(rps=rps, duration=duration), site=nodes
    )
    return await offer(order, on_spawn=pytest.fail, on_second=on_second)


def total(facts, name):
    return sum(getattr(second, name) for second in facts.seconds)


async def test_nodes_with_different_clocks_offer_one_schedule_exactly():
    with scripted(responds) as port:
        async with local_nodes(TWO) as nodes:
            facts = await offered(port, nodes, rps=101)

    assert facts.planned == total(facts, "scheduled") == total(facts, "succeeded") == 202
    assert histogram.merge(second.duration for second in facts.seconds).count == 202
    assert [(node.node, node.workers, node.planned, node.scheduled) for node in facts.nodes] == [
        ("node-1", 1, 101, 101),
        ("node-2", 1, 101, 101),
    ]
    assert not facts.lost_workers


async def test_facts_say_how_well_clocks_were_known():
    with scripted(responds) as port:
        async with local_nodes({"node-1": 0}, drift_ns=-40_000) as nodes:
            nodes.ceilings["node-1"] = 12_000.0
            facts = await offered(port, nodes, duration="0.2s")

    (node,) = facts.nodes
    assert (node.clock.offset_ns, node.clock.drift_ns, node.clock.error_after_ns) == (0, -40_000, 65_000)
    assert ERROR_NS <= node.start_error_ns <= ERROR_NS + 40_000
    assert (node.share, node.ceiling_rps, node.lost) == (1.0, 12_000.0, "")
    assert node.cpu_s > 0


async def test_a_node_twice_as_strong_gets_two_workers_and_the_schedule_stays_whole():
    with scripted(responds) as port:
        async with local_nodes({"a": 0, "b": 0}, cores={"a": 2}) as nodes:
            facts = await offered(port, nodes, rps=90, duration="1s")

    assert {node.node: (node.workers, node.planned) for node in facts.nodes} == {"a": (2, 60), "b": (1, 30)}
    assert total(facts, "succeeded") == 90


async def test_a_lost_node_is_named_with_what_it_did_not_offer_and_the_others_go_on():
    with scripted(responds) as port:
        async with local_nodes(TWO) as nodes:

            def on_second(second):
                if second.index == 0:
                    nodes.cluster.lose("node-2")

            facts = await offered(port, nodes, duration="3s", on_second=on_second)

    kept, lost = facts.nodes
    assert (kept.lost, kept.not_offered, kept.scheduled) == ("", 0, 150)
    assert lost.lost == "silent for 3 s"
    assert lost.not_offered == 150 - (total(facts, "succeeded") - 150) == total(facts, "dropped") > 0
    assert total(facts, "scheduled") == facts.planned == 300
    missing = f"{lost.not_offered} requests not offered or without a known end"
    assert facts.lost_workers == (f"generator lost on node-2: silent for 3 s; {missing}",)


async def test_what_each_node_did_in_a_stage_that_is_interrupted_is_known():
    first = trio.Event()
    with scripted(responds) as port:
        async with local_nodes(TWO) as nodes, trio.open_nursery() as nursery:
            nodes.ceilings["node-1"] = 12_000.0
            order = LoadOrder(Endpoint("127.0.0.1", port), Load(), Stage(rps=100, duration="60s"), site=nodes)
            started = await nursery.start(
                partial(offer, order, on_spawn=pytest.fail, on_second=lambda _: first.set())
            )
            with trio.fail_after(50):
                await first.wait()
            nursery.cancel_scope.cancel()

    parts = started.nodes_so_far()
    assert [(one.node, one.workers, one.planned, one.lost) for one in parts] == [
        ("node-1", 1, 3_000, ""),
        ("node-2", 1, 3_000, ""),
    ]
    assert all(50 <= one.scheduled < 3_000 and one.clock.drift_ns is None for one in parts)
    assert parts[0].ceiling_rps == 12_000.0


async def test_the_next_stage_uses_the_nodes_that_are_left():
    with scripted(responds) as port:
        async with local_nodes(TWO) as nodes:
            nodes.cluster.lose("node-1")
            facts = await offered(port, nodes, duration="0.2s")
            assert [node.node for node in facts.nodes] == ["node-2"]
            nodes.cluster.lose("node-2", "its connection ended")
            with pytest.raises(EnvironmentLacks, match=r"no node is left .*node-2: its connection ended"):
                await offered(port, nodes)


async def test_too_few_requests_in_flight_for_the_workers_are_refused():
    async with local_nodes(TWO) as nodes:
        with pytest.raises(EnvironmentLacks, match="max_in_flight is 1, but 2 nodes"):
            await offered(1, nodes, max_in_flight=1)


async def test_processors_that_a_node_does_not_have_are_refused():
    async with local_nodes(TWO, cores={"node-1": 4}) as nodes:
        with pytest.raises(EnvironmentLacks, match="names processor 1, but node-2 has 1 that can be used"):
            await offered(1, nodes, cpus=[1])


async def test_merged_percentiles_are_those_of_one_histogram_of_all_values(monkeypatch):
    reported = []

    def recorded(line):
        reported.append(decode_progress(line))
        return reported[-1]

    monkeypatch.setattr(builtin, "decode_progress", recorded)
    with scripted(responds) as port:
        async with local_nodes(TWO) as nodes:
            facts = await offered(port, nodes, rps=200, duration="1s")

    seconds = [message for message in reported if isinstance(message, WorkerSecond)]
    counts = Counter()
    for second in seconds:
        counts.update(dict(zip(*second.response_time.arrays, strict=True)))
    total_ns = sum(second.response_time.total_ns for second in seconds)
    one = histogram.Histogram(dict(counts), total_ns, max(second.response_time.max_ns for second in seconds))
    merged = histogram.merge(second.response_time for second in facts.seconds)
    assert merged == one
    assert merged.count == 200
    assert merged.percentiles_ms([50, 95, 99, 99.9]) == one.percentiles_ms([50, 95, 99, 99.9])
