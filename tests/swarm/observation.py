"""What agents read: the containers, the network namespaces and the workers of their own node."""

import time

from runner.cluster.placement import PlacedHealthcheck, ResourceLimits, TaskPlan
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import PlacedPart

MIB = 2**20
OBSERVED = "observed"
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


async def place_observed(placer, image, network):
    """Return one program on each of node-2 and node-3, and the address of the latter."""
    plan = TaskPlan(
        OBSERVED, image, ("python3", "-c", APP), networks=(network,), replicas=2, one_per_node=True,
        constraints=("node.hostname!=node-1",), healthcheck=READY, limits=ResourceLimits(0.5, 64 * MIB),
    )  # fmt: skip
    names = {node.id: node.name for node in await placer.nodes()}
    tasks = {names[task.node_id]: task for task in await placer.place(plan, within=60)}
    placed = [
        PlacedPart(name, Role.APP, node, tasks[node].container_id, tasks[node].pid, (8080,))
        for name, node in (("app", "node-2"), ("app-2", "node-3"))
    ]
    return placed, tasks["node-3"].addresses[network].partition("/")[0]


def check_clocks(clocks, swarm):
    """Check the clock of each node against what is known of it: the runner's clock is the manager's."""
    for node in swarm.nodes:
        off_ns = clocks[node].offset_ns - swarm.skew_s(node) * 1_000_000_000
        assert abs(off_ns) <= clocks[node].error_ns + CONNECTS_WITHIN_NS


def check_samples(facts, placed):
    """Check the samples and counters of all nodes, of which node-2 runs a worker and node-1 the hub."""
    parts = {"node-1": {"hub"}, "node-2": {"app", "generator-1"}, "node-3": {"app-2"}}
    for node, observed in facts.items():
        assert len(observed.samples) == 3
        for sample in observed.samples:
            assert sample.cpu_s.keys() == {
                *parts[node], "agent", "system", "dockerd", "containerd", *shims(observed)
            }  # fmt: skip
        for part in (one for one in placed if one.node == node):
            check_counters(part, observed, 2 if node == "node-3" else 0)
    assert all(sample.rss_bytes["generator-1"] > MIB for sample in facts["node-2"].samples)
    assert {one.scope for one in facts["node-2"].counters} >= {"net:host", "net:generator-1", "net:app"}


def check_counters(part, observed, waiting):
    """Check what a program used, and how many connections wait for it."""
    counters = {one.name: one for one in observed.counters if one.scope in {part.name, f"net:{part.name}"}}
    assert all(0.2 <= sample.cpu_s[part.name] < 60 for sample in observed.samples)
    assert all(20 * MIB < sample.rss_bytes[part.name] < 64 * MIB for sample in observed.samples)
    assert counters["memory.usage_bytes"].limit == 64 * MIB
    assert counters["tcp.accept_queue.8080"].after == waiting


def shims(observed):
    return {subject.name for subject in observed.subjects if subject.name.startswith("containerd-shim")}
