"""Agents of a real swarm read the containers, the network namespaces and the workers of their own node."""

import time

from runner.cluster.opening import open_cluster
from runner.cluster.placement import PlacedHealthcheck, ResourceLimits, TaskPlan
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import PlacedPart
from runner.execution.node_watch import NodeWatch
from runner.stack.swarm.agent_image import agent_image

MIB = 2**20
CONNECTS_WITHIN_NS = 50_000
APP = """
import socket, time
listener = socket.create_server(("", 8080), backlog=9)
block = bytes(range(256)) * 4096 * 20  # 20 MiB
while time.process_time() < 0.2:
    pass
open("/tmp/ready", "x")
time.sleep(600)
"""
READY = PlacedHealthcheck(("CMD", "test", "-e", "/tmp/ready"))


def window(seconds):
    start = time.monotonic_ns() + 500_000_000
    return Window(start, start, start + round(seconds * 1e9))


async def place_app(placer, image, network):
    """Return one app on each of node-2 and node-3, and the address of the latter."""
    plan = TaskPlan(
        "app", image, ("python3", "-c", APP), networks=(network,), replicas=2, one_per_node=True,
        constraints=("node.hostname!=node-1",), healthcheck=READY, limits=ResourceLimits(0.5, 64 * MIB),
    )  # fmt: skip
    names = {node.id: node.name for node in await placer.nodes()}
    tasks = {names[task.node_id]: task for task in await placer.place(plan, within=60)}
    placed = [
        PlacedPart(name, Role.APP, node, tasks[node].container_id, tasks[node].pid, (8080,))
        for name, node in (("app", "node-2"), ("app-2", "node-3"))
    ]
    return placed, tasks["node-3"].addresses[network].partition("/")[0]


async def test_each_agent_joins_tells_its_clock_and_reads_its_own_node(placer, context, image, swarm):
    nodes, network = await placer.nodes(), await placer.network("data")
    agents = (await agent_image(placer, nodes, None, context.say)).name
    placed, address = await place_app(placer, image, network)
    async with open_cluster(
        placer, run_id=context.run_id, image=agents, nodes=nodes, networks=[network], say=context.say
    ) as cluster:
        (worker,) = await cluster.open_workers("node-2", 1)
        for _ in range(2):  # nobody accepts these
            assert (await cluster.probe("node-2", address, 8080, within=30)).error == ""
        workers = {"node-1": {}, "node-2": {"generator-1": worker.pid}}
        clocks = await cluster.clocks()
        watch = NodeWatch(cluster, window(1.0), 0.5, placed, workers, lambda *_: None)
        await watch.watch()
    facts = watch.facts()

    assert agents.startswith("sha256:")
    assert not any("building" in line for line in context.guard.lines)
    assert set(cluster.agents) == set(swarm.nodes)
    for node in swarm.nodes:  # the runner's clock is the manager's
        off_ns = clocks[node].offset_ns - swarm.skew_s(node) * 1_000_000_000
        assert abs(off_ns) <= clocks[node].error_ns + CONNECTS_WITHIN_NS
    assert {name: observed.notes for name, observed in facts.items()} == dict.fromkeys(swarm.nodes, ())
    parts = {"node-1": {"hub"}, "node-2": {"app", "generator-1"}, "node-3": {"app-2"}}
    for node, observed in facts.items():
        assert len(observed.samples) == 3
        for sample in observed.samples:
            assert sample.cpu_s.keys() == {
                *parts[node], "agent", "system", "dockerd", "containerd", *shims(observed)
            }  # fmt: skip
        for part in (one for one in placed if one.node == node):
            counters = {
                one.name: one for one in observed.counters if one.scope in {part.name, f"net:{part.name}"}
            }
            assert all(0.2 <= sample.cpu_s[part.name] < 60 for sample in observed.samples)
            assert all(20 * MIB < sample.rss_bytes[part.name] < 64 * MIB for sample in observed.samples)
            assert counters["memory.usage_bytes"].limit == 64 * MIB
            assert counters["tcp.accept_queue.8080"].after == (2 if node == "node-3" else 0)
    assert all(sample.rss_bytes["generator-1"] > MIB for sample in facts["node-2"].samples)
    assert {one.scope for one in facts["node-2"].counters} >= {"net:host", "net:generator-1", "net:app"}


def shims(observed):
    return {subject.name for subject in observed.subjects if subject.name.startswith("containerd-shim")}
