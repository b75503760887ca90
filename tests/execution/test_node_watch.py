"""Observation of nodes through real agents, which are processes on this machine with skewed clocks."""

import itertools
import os
import subprocess
import sys
import time

import pytest
import trio

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, PlacedPart, Program
from runner.execution import node_watch
from runner.execution.node_watch import NodeWatch
from tests.cluster.conftest import opened
from tests.cluster.local_placer import NO_TIME_NAMESPACES, LocalPlacer
from tests.servers.scripted import scripted

SKEWED = pytest.mark.skipif(
    NO_TIME_NAMESPACES and not os.environ.get("CI"), reason="this kernel has no time namespaces"
)


@pytest.fixture
async def placer():
    placer = LocalPlacer({"node-1": 0, "node-2": 0})
    yield placer
    await placer.remove_all()


@pytest.fixture
async def cluster(placer):
    async with opened(placer) as cluster:
        yield cluster


def watch_of(cluster, seconds, workers, on_sample=lambda *_: None):
    start = time.monotonic_ns() + 300_000_000
    window = Window(start, start, start + round(seconds * 1e9))
    return NodeWatch(cluster, window, 0.25, (), workers, on_sample)


@SKEWED
async def test_samples_of_all_nodes_are_on_the_runners_window_whatever_their_clocks_say():
    placer = LocalPlacer({"node-1": 0, "node-2": 5000})
    seen = []
    try:
        async with opened(placer) as cluster:
            worker = (await cluster.open_workers("node-2", 1))[0]
            watch = watch_of(
                cluster,
                1.0,
                {"node-1": {}, "node-2": {"generator-3": worker.pid}},
                lambda *one: seen.append(one),
            )
            await watch.watch()
    finally:
        await placer.remove_all()

    facts = watch.facts()
    from_here = ObservedFacts((), (), programs=(Program("python3", (worker.pid,), 0.5),))
    assert watch.add_to(from_here) == ObservedFacts((), (), nodes=facts)
    assert list(facts) == ["node-1", "node-2"]
    for observed in facts.values():
        times = [sample.t_s for sample in observed.samples]
        assert times == sorted(times)
        assert len(times) == 5
        assert times[0] >= -0.01
        assert times[-1] >= 1.0
        assert observed.samples[-1].cpu_s["agent"] > observed.samples[0].cpu_s["agent"] > 0
    names = {
        node: [subject.name for subject in observed.subjects if subject.role != Role.DAEMON]
        for node, observed in facts.items()
    }
    assert names["node-1"][:3] == ["agent", "system", "hub"]
    assert names["node-2"][:4] == ["generator-3", "agent", "system", "hub"]
    assert facts["node-2"].subjects[0].pid == worker.pid
    assert facts["node-2"].samples[-1].rss_bytes["generator-3"] > 1_000_000
    assert {(one.scope, one.name) for one in facts["node-2"].counters} >= {
        ("host", "cpu.softirq_s"),
        ("net:host", "tcp.retransmits"),
    }
    assert [node for node, _, _ in seen].count("node-2") == 5


async def test_a_watch_that_is_cancelled_has_the_counters_until_then(cluster, monkeypatch):
    monkeypatch.setattr(node_watch, "_STOP_WITHIN_S", 60)
    late = trio.Event()  # the counters are read at the window's start

    def on_sample(_, sample, __):
        if sample.t_s > 1:
            late.set()

    watch = watch_of(cluster, 600, {"node-1": {}}, on_sample)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch)
        await late.wait()
        nursery.cancel_scope.cancel()

    observed = watch.facts()["node-1"]
    assert observed.samples
    assert any(one.name == "context_switches" and one.after > one.before for one in observed.counters)
    assert observed.notes == ()


async def test_a_node_whose_agent_dies_keeps_its_samples(placer, cluster):
    seen = {"node-1": trio.Event(), "node-2": trio.Event()}
    watch = watch_of(cluster, 2.0, {"node-1": {}, "node-2": {}}, lambda node, *_: seen[node].set())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.watch)
        await seen["node-2"].wait()
        placer.kill(next(name for name, plan in placer.plans.items() if plan.node_id == "node-2"))

    facts = watch.facts()
    assert facts["node-1"].notes == ()
    assert facts["node-2"].samples
    assert facts["node-2"].counters == ()
    assert facts["node-2"].notes == (
        "the agent of node-2 was lost or did not answer, so counters and programs are missing",
    )


async def test_a_node_that_is_lost_before_the_trial_has_a_note_only(placer, cluster):
    placer.kill(next(name for name, plan in placer.plans.items() if plan.node_id == "node-2"))
    await cluster.wait_lost()
    watch = watch_of(cluster, 0.3, {"node-1": {}, "node-2": {}})

    await watch.watch()

    assert watch.facts()["node-1"].notes == ()
    assert watch.facts()["node-2"].samples == ()
    assert "the agent of node-2 was lost" in watch.facts()["node-2"].notes[0]


def test_an_agent_needs_none_of_the_libraries_that_its_image_lacks():
    modules = ["httpx", "pydantic", "psutil", "prometheus_client", "docker", "jinja2"]
    script = f"import runner.agent.kinds, sys; print([name for name in {modules} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stdout == b"[]\n"


def pages_that_grow(client, request, count=itertools.count(1)):  # noqa: B008  (counts all requests)
    number = next(count)
    if request.startswith(b"GET /nginx_status "):
        text = f"Active connections: 1 \nserver accepts handled requests\n {number} {number} {number} \n"
    elif request.startswith(b"GET /metrics "):
        text = f"# TYPE app_requests_total counter\napp_requests_total {number * 100}\n"
    else:
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        return
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n"
    client.sendall((head + text).encode())


async def test_a_nodes_agent_fetches_the_pages_of_its_parts(cluster):
    def part(name, port=0, **urls):
        full = {key: f"http://127.0.0.1:{port}/{path}" for key, path in urls.items()}
        return PlacedPart(name, name, "node-2", "0" * 64, 0, **full)

    with scripted(pages_that_grow) as port:
        placed = [
            part("proxy", port, status_url="nginx_status"),
            part("app", port, metrics_url="metrics"),
            part("app-2", port, metrics_url="missing"),
            part("app-3", 1, metrics_url="refused"),
        ]
        start = time.monotonic_ns() + 300_000_000
        watch = NodeWatch(
            cluster, Window(start, start, start + 500_000_000), 0.25, placed, {"node-1": {}}, lambda *_: None
        )
        await watch.watch()

    observed = watch.facts()["node-2"]
    counters = {(one.scope, one.name): one for one in observed.counters}
    assert counters["proxy", "nginx.accepts"].after > counters["proxy", "nginx.accepts"].before > 0
    assert observed.requests["app"] in range(100, 5_000, 100)
    reasons = {one.scope: one.reason for one in observed.unreadable if one.name == "app"}
    assert reasons == {
        "app-2": "its page returned status 404",
        "app-3": "its page could not be read from its node",
    }
    assert watch.facts()["node-1"].requests == {}
