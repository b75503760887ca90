"""Systems on the nodes of a real swarm, one after another around the same agents.

Each is ready when every part of it is, and broken when one ends or is cut off.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.execution.load_nodes import check_reachable
from runner.execution.node_watch import NodeWatch
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext
from tests.stack.docker.conftest import RecordingGuard
from tests.swarm.agents import WITHIN_S, SharedAgents, shared_agents, statuses
from tests.swarm.conftest import LABEL, PYTHON, nothing_left_on
from tests.swarm.observation import OBSERVED, check_clocks, check_samples, place_observed, window

SERVE = """
import os, pathlib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
print('given', *(pathlib.Path(name).read_text() for name in os.environ['SHOWN'].split()), os.environ['DB'])
SimpleHTTPRequestHandler.log_message = lambda *_: None
ThreadingHTTPServer(('', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()
"""
UNROUTED = "10.99.99.1"
LISTENS = "import socket; socket.create_connection(('${db.host}', ${db.port}))"


def topology(**changes: object) -> SwarmTopology:
    app = {
        "image": PYTHON,
        "port": 8080,
        "replicas": 2,
        "health": "/",
        "nodes": ["node.role==worker"],
        "command": ["python3", "-uc", SERVE],
        "env": {"DB": "${db.host}:${db.port}", "SHOWN": "/run/secrets/token /etc/settings"},
        "secrets": ["token"],
        "configs": {"settings": "/etc/settings"},
    }
    service = {
        "image": PYTHON,
        "port": 5000,
        "nodes": ["node.role==manager"],
        "command": ["python3", "-m", "http.server", "{port}"],
        "files": {"settings.txt": "/srv/settings.txt"},
        "ready": {"command": ["python3", "-c", LISTENS]},
    }
    return SwarmTopology.model_validate(
        {
            "kind": "swarm",
            "app": app | changes.pop("app", {}),
            "services": {"db": service | changes.pop("db", {})},
            "proxy": {"kind": "nginx"},
            "secrets": {"token": {"env": "LP_TOKEN"}},
            "configs": {"settings": {"file": "settings.txt"}},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def agents(nodes, tmp_path_factory):
    """Agents for all tests of this file; nothing is left of them and of the systems."""
    scratch, guard = tmp_path_factory.mktemp("agents"), RecordingGuard()
    context = StackContext(f"agents-{nodes.name}", "placed", scratch, scratch, guard, guard.lines.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", nodes.url(nodes.manager))
        with shared_agents(context) as agents:
            yield agents
    nothing_left_on(nodes)


@pytest.fixture
def kept() -> dict[str, bytes]:
    return {}


@pytest.fixture
def context(agents: SharedAgents, tmp_path: Path, kept, monkeypatch) -> StackContext:
    monkeypatch.setenv("LP_TOKEN", "t0k3n-of-the-run")
    (tmp_path / "settings.txt").write_text("fast")
    return replace(
        agents.context, base_dir=tmp_path, keep_log=kept.__setitem__, keep_rendered=kept.__setitem__
    )


async def broken(stack):
    with trio.fail_after(WITHIN_S):
        return await stack.wait_broken()


@pytest.fixture
def others(nodes):
    """What another user has on the swarm, with the names of parts of this system."""
    manager = nodes.manager
    nodes.docker(manager, "network", "create", "--driver", "overlay", "data")
    command = ("service", "create", "--detach", "--replicas", "0", "--endpoint-mode", "dnsrr")
    for name in ("db", "nginx"):
        nodes.docker(manager, *command, "--network", "data", "--name", name, PYTHON)
    yield
    specs = [one["Spec"] for one in nodes.get(manager, "/services")]
    assert {spec["Name"] for spec in specs if LABEL not in spec["Labels"]} == {"db", "nginx"}
    nodes.docker(manager, "service", "rm", "db", "nginx")
    nodes.docker(manager, "network", "rm", "data")


def test_each_agent_joins_tells_its_clock_and_reads_its_own_node(agents, context, nodes):
    seen = {}

    async def check():
        ready = await agents.around(topology(), context)
        placer, cluster = ready.placer, ready.cluster
        image = nodes.get(nodes.manager, f"/images/{PYTHON}/json")["Id"]
        placed, address = await place_observed(placer, image, await placer.network("data"))
        (worker,) = await cluster.open_workers("node-2", 1)
        for _ in range(2):  # nobody accepts these
            assert (await cluster.probe("node-2", address, 8080, within=30)).error == ""
        workers = {"node-1": {}, "node-2": {"generator-1": worker.pid}}
        seen.update(placed=placed, clocks=await cluster.clocks(), joined=set(cluster.agents))
        watch = NodeWatch(cluster, window(1.0), 0.5, placed, workers, lambda *_: None)
        await watch.watch()
        seen["facts"] = watch.facts()
        await cluster.close_workers([worker])
        await placer.remove(OBSERVED, wait=False)

    agents.run(check)

    facts = seen["facts"]
    images = {
        one["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for one in nodes.get(nodes.manager, "/services")
    }
    assert all(image.startswith("sha256:") for image in images)
    assert not any("building" in line for line in agents.lines)
    assert seen["joined"] == set(nodes.nodes)
    check_clocks(seen["clocks"], nodes)
    assert {name: observed.notes for name, observed in facts.items()} == dict.fromkeys(nodes.nodes, ())
    check_samples(facts, seen["placed"])


def test_a_system_that_a_node_cannot_reach_is_reported_with_the_node(agents, context):
    async def check():
        ready = await agents.around(topology(), context)
        with pytest.raises(
            EnvironmentLacks, match=f"node-2 cannot connect to {UNROUTED} port 8080: "
        ) as lacks:
            await check_reachable(Endpoint(UNROUTED, 8080), ["node-2"], ready.cluster)
        assert "open that port to the nodes" in lacks.value.hint

    agents.run(check)


def test_a_stack_spans_nodes_until_a_replica_dies(agents, context, nodes, others, kept):
    manager, *workers = nodes.nodes
    seen = []

    async def check():
        async with agents.opened(topology(), context) as (stack, cluster):
            placement = stack.description.placement
            assert {placement["app-1"], placement["app-2"]} == set(workers)
            assert placement["db"] == manager
            assert set(placement) == {"db", "app-1", "app-2", "nginx"}
            assert {part.name: part.node for part in stack.placed} == placement
            assert await statuses(stack, cluster, nodes.nodes) == [200, 200, 200]
            given = [line for line in await stack.app_output() if line.startswith("given")]
            assert given == ["given [secret token] fast db:5000"] * 2
            inside = await stack.run_inside("db", ["cat", "/srv/settings.txt"], env={}, within=WITHIN_S)
            assert (inside.status, inside.output) == (0, ("fast",))
            with pytest.raises(EnvironmentLacks, match=f"inside app on {placement['app-1']}"):
                await stack.run_inside("app", ["true"], env={}, within=WITHIN_S)
            victim = next(part for part in stack.placed if part.name == "app-2")
            nodes.docker(victim.node, "kill", victim.container_id)
            seen.extend([victim, await broken(stack)])

    agents.run(check)

    victim, event = seen
    assert (event.code, event.message) == (
        "app-died",
        f"the replica app-2 on {victim.node} was killed by SIGKILL",
    )
    assert "given [secret token] fast db:5000" in event.log
    assert kept.keys() == {"db", "app-1", "app-2", "nginx", "nginx.conf"}
    assert b"t0k3n" not in b"".join(kept.values())
    assert kept["nginx.conf"].count(b"max_fails=0;") == 2


def test_the_next_stack_is_placed_around_the_same_agents_until_a_node_is_cut_off(agents, context, nodes):
    manager, *_, last = nodes.nodes
    on_last = {"nodes": [f"node.hostname=={last}"], "replicas": 1}
    wanted = topology(
        path="published",
        app=on_last,
        db={"nodes": on_last["nodes"]},
        proxy={"kind": "nginx", "nodes": ["node.role==manager"]},
    )
    events = []

    async def check():
        before = await agents.around(wanted, context)
        async with agents.opened(wanted, context) as (stack, cluster):
            assert cluster is before.cluster
            assert stack.endpoint.host == nodes.address(manager)
            assert stack.endpoint.port != 8080
            assert await statuses(stack, cluster, [manager, last]) == [200, 200]
            database = next(part for part in stack.placed if part.name == "db")
            assert nodes.docker(last, "exec", database.container_id, "cat", "/srv/settings.txt") == "fast"
            nodes.unplug(last)
            events.append(await broken(stack))

    agents.run(check)

    assert sum(line.startswith("starting agents on") for line in agents.lines) == 1
    (event,) = events
    assert event.code in {"app-died", "stack-failed"}  # of the app, or of the service on the same node
    assert f" on {last} is out of reach, and the agent there is lost (" in event.message


def test_a_replica_that_ends_before_it_is_ready_is_shown_with_its_node_and_output(agents, context, nodes):
    """Its agents are new ones, on the nodes that are left: one of those before was lost."""
    at_the_third_request = (
        "SimpleHTTPRequestHandler.do_GET = lambda self: next(answers)(self)\n"
        "refuse = lambda self: self.send_error(503)\n"
        "answers = iter([refuse, refuse, lambda _: os._exit(3)])\n"
    )
    *rest, serve = SERVE.strip().splitlines()
    command = ["python3", "-uc", "\n".join([*rest, at_the_third_request, serve])]
    on_second = {"command": command, "replicas": 1, "nodes": ["node.hostname==node-2"]}
    *_, last = nodes.nodes
    unready = topology(path="host", app=on_second, proxy={"kind": "nginx", "nodes": ["node.role==manager"]})
    before = len(agents.lines)

    def say(line):
        agents.lines.append(line)
        if line.startswith("starting agents"):  # the nodes are chosen: until the end it is back
            nodes.network.plug(last, connected=True)

    async def check():
        async with agents.opened(unready, replace(context, say=say)):
            pass  # never reached

    with pytest.raises(StackFailed) as failed:
        agents.run(check)

    assert failed.value.message == "the app on node-2 exited with status 3 before it was ready"
    assert f"given [secret token] fast {nodes.address(nodes.manager)}:5000" in failed.value.details
    left = f"left on the swarm: containers on {last}, which the swarm removes when it is back"
    assert agents.lines[before:][:2] == [left, "starting agents on node-1, node-2"]
