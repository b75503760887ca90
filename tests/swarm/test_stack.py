"""A system on the nodes of a real swarm: ready when every part is, and broken when one ends or is cut off."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from runner.cluster.opening import open_cluster
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.protocols import StackContext
from runner.stack.swarm import open_swarm
from runner.stack.swarm.agent_image import agent_image
from runner.stack.swarm.placer import open_placer
from tests.swarm.conftest import PYTHON

WITHIN_S = 60
SERVE = """
import os, pathlib
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
print('given', *(pathlib.Path(name).read_text() for name in os.environ['SHOWN'].split()), os.environ['DB'])
SimpleHTTPRequestHandler.log_message = lambda *_: None
ThreadingHTTPServer(('', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()
"""
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


@pytest.fixture
def kept() -> dict[str, bytes]:
    return {}


@pytest.fixture
def stack_context(context: StackContext, tmp_path: Path, kept, monkeypatch) -> StackContext:
    monkeypatch.setenv("LP_TOKEN", "t0k3n-of-the-run")
    (tmp_path / "settings.txt").write_text("fast")
    return replace(context, base_dir=tmp_path, keep_log=kept.__setitem__, keep_rendered=kept.__setitem__)


@asynccontextmanager
async def opened(wanted: SwarmTopology, context: StackContext, nodes: Sequence[str]) -> AsyncIterator[tuple]:
    """Provide agents on some nodes, and the stack."""
    async with open_placer(context) as placer:
        nodes = [node for node in await placer.nodes() if node.name in nodes]
        networks = () if wanted.path == "host" else (await placer.network("data"),)
        async with (
            open_cluster(
                placer,
                run_id=context.run_id,
                image=(await agent_image(placer, nodes, None, context.say)).name,
                nodes=nodes,
                networks=networks,
                host_network=not networks,
                say=context.say,
            ) as cluster,
            open_swarm(wanted, replace(context, placer=placer, cluster=cluster)) as stack,
        ):
            yield stack, cluster


async def statuses(stack, cluster, nodes: Sequence[str]) -> list[int | None]:
    """Return what each node gets from where the load goes."""
    endpoint = stack.endpoint
    return [
        (await cluster.probe(node, endpoint.host, endpoint.port, "/", within=WITHIN_S)).status
        for node in nodes
    ]


async def broken(stack):
    with trio.fail_after(WITHIN_S):
        return await stack.wait_broken()


@pytest.fixture
def others(swarm):
    """What another user has on the swarm, with the names of parts of this system."""
    manager = swarm.manager
    swarm.docker(manager, "network", "create", "--driver", "overlay", "data")
    command = ("service", "create", "--detach", "--replicas", "0", "--endpoint-mode", "dnsrr")
    for name in ("db", "nginx"):
        swarm.docker(manager, *command, "--network", "data", "--name", name, PYTHON)
    yield
    assert {one["Spec"]["Name"] for one in swarm.get(manager, "/services")} == {"db", "nginx"}
    swarm.docker(manager, "service", "rm", "db", "nginx")
    swarm.docker(manager, "network", "rm", "data")


async def test_a_stack_spans_nodes_until_a_replica_dies(stack_context, swarm, others, kept):
    manager, *workers = swarm.nodes
    async with opened(topology(), stack_context, swarm.nodes) as (stack, cluster):
        placement = stack.description.placement
        assert {placement["app-1"], placement["app-2"]} == set(workers)
        assert placement["db"] == manager
        assert set(placement) == {"db", "app-1", "app-2", "nginx"}
        assert {part.name: part.node for part in stack.placed} == placement
        assert await statuses(stack, cluster, swarm.nodes) == [200, 200, 200]
        given = [line for line in await stack.app_output() if line.startswith("given")]
        assert given == ["given [secret token] fast db:5000"] * 2
        inside = await stack.run_inside("db", ["cat", "/srv/settings.txt"], env={}, within=WITHIN_S)
        assert (inside.status, inside.output) == (0, ("fast",))
        with pytest.raises(EnvironmentLacks, match=f"inside app on {placement['app-1']}"):
            await stack.run_inside("app", ["true"], env={}, within=WITHIN_S)
        victim = next(part for part in stack.placed if part.name == "app-2")
        swarm.docker(victim.node, "kill", victim.container_id)
        event = await broken(stack)

    assert (event.code, event.message) == (
        "app-died",
        f"the replica app-2 on {victim.node} was killed by SIGKILL",
    )
    assert "given [secret token] fast db:5000" in event.log
    assert kept.keys() == {"db", "app-1", "app-2", "nginx", "nginx.conf"}
    assert b"t0k3n" not in b"".join(kept.values())
    assert kept["nginx.conf"].count(b"max_fails=0;") == 2


async def test_ports_of_nodes_lead_to_a_stack_until_a_node_is_cut_off(stack_context, swarm):
    manager, *_, last = swarm.nodes
    on_last = {"nodes": [f"node.hostname=={last}"], "replicas": 1}
    wanted = topology(
        path="published",
        app=on_last,
        db={"nodes": on_last["nodes"]},
        proxy={"kind": "nginx", "nodes": ["node.role==manager"]},
    )
    async with opened(wanted, stack_context, [manager, last]) as (stack, cluster):
        assert stack.endpoint.host == swarm.address(manager)
        assert stack.endpoint.port != 8080
        assert await statuses(stack, cluster, [manager, last]) == [200, 200]
        database = next(part for part in stack.placed if part.name == "db")
        assert swarm.docker(last, "exec", database.container_id, "cat", "/srv/settings.txt") == "fast"
        swarm.unplug(last)
        event = await broken(stack)
        swarm.restore()

    assert event.code in {"app-died", "stack-failed"}  # of the app, or of the service on the same node
    assert f" on {last} is out of reach, and the agent there is lost (" in event.message


async def test_a_replica_that_ends_before_it_is_ready_is_shown_with_its_node_and_output(stack_context, swarm):
    at_the_third_request = (
        "SimpleHTTPRequestHandler.do_GET = lambda self: next(answers)(self)\n"
        "refuse = lambda self: self.send_error(503)\n"
        "answers = iter([refuse, refuse, lambda _: os._exit(3)])\n"
    )
    *rest, serve = SERVE.strip().splitlines()
    command = ["python3", "-uc", "\n".join([*rest, at_the_third_request, serve])]
    on_second = {"command": command, "replicas": 1, "nodes": ["node.hostname==node-2"]}
    unready = topology(path="host", app=on_second, proxy={"kind": "nginx", "nodes": ["node.role==manager"]})

    with pytest.raises(StackFailed) as failed:
        async with opened(unready, stack_context, swarm.nodes[:2]):
            pass  # never reached

    assert failed.value.message == "the app on node-2 exited with status 3 before it was ready"
    assert f"given [secret token] fast {swarm.address(swarm.manager)}:5000" in failed.value.details
