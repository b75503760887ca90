"""Services in containers: reachable under their names, ready in order, explained when they fail."""

import shutil
import socket
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import httpx
import pytest
import trio

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.units import BYTES_PER_MIB
from runner.observe.peers.reading import Connections
from runner.stack.docker import open_docker
from tests.stack.docker.conftest import APP, topology

pytestmark = pytest.mark.docker

SHOW = "import os, socket, sys; s = socket.create_connection((os.environ['DB'], int(sys.argv[1])), 5)"
CACHE = {"build": "app", "port": 8090, "env": {"PORT": "{port}"}}


async def get(host, port, path):
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://{host}:{port}{path}")).text


async def failure(spec, context) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as raised:
        async with open_docker(spec, context):
            pytest.fail("it came up")
    return raised.value


@pytest.fixture
def folder(context, tmp_path):
    """A specification's folder of its own."""
    shutil.copytree(APP, tmp_path / "spec" / "app")
    return replace(context, base_dir=tmp_path / "spec")


async def peer_of(stack, host, port):
    """What is observed of a connection that a program inside the app holds for some seconds."""
    hold = f"import socket, time; c = socket.create_connection(({host!r}, {port})); time.sleep(60)"
    connections = Connections(stack.subjects)
    with ExitStack() as closing, trio.fail_after(30):
        connections.open(closing)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(stack.run_inside, "app", ["python", "-c", hold], env={}, within=60))
            while not (peers := [p for p in connections.series.peers() if p.port == port]):
                await trio.sleep(0.2)
                connections.read(trio.current_time())
            nursery.cancel_scope.cancel()
    (peer,) = peers
    return peer.subject, peer.role, bool(peer.program)


async def test_services_are_reachable_under_their_names_limited_and_observed(folder, left_over, monkeypatch):
    monkeypatch.setenv("CACHE_PASSWORD", "hunter2-secret")
    (folder.base_dir / "rows.txt").write_text("from the folder\n")
    (folder.base_dir / "rows.txt").chmod(0o666)
    read = "print(open('/data/rows.txt').read(), flush=True); from urllib.request import urlopen; "
    command = ["python", "-c", f"{read}import time; time.sleep(600)", "${cache.host}"]
    kept = {}
    spec = topology(
        services={
            "cache": {**CACHE, "cpus": 0.5, "memory": 64 * BYTES_PER_MIB, "env_from": ["CACHE_PASSWORD"]},
            "worker": {
                "build": "app",
                "command": command,
                "files": {"rows.txt": "/data/rows.txt"},
                "cwd": "/tmp",
            },
            "db": {
                **CACHE,
                "ready": {"command": ["python", "-c", SHOW, "{port}"]},
                "env": {"PORT": "{port}", "DB": "${cache.host}"},
                "inspect": "redis://:pass@${db.host}:${db.port}",
            },
        },
        app={"env": {"CACHE": "http://${cache.host}:${cache.port}"}},
    )
    async with open_docker(spec, replace(folder, keep_log=kept.__setitem__)) as stack:
        url = await get(stack.endpoint.host, stack.endpoint.port, "/environment/CACHE")
        peer = await stack.run_inside(
            "app",
            [
                "python",
                "-c",
                "from urllib.request import urlopen as u; print(u('http://cache:8090/peer').read())",
            ],
            env={},
            within=20,
        )
        written = await stack.run_inside(
            "worker", ["sh", "-c", "pwd; echo x >> /data/rows.txt"], env={}, within=20
        )
        subjects = [(one.name, one.role, one.kind) for one in stack.subjects][:4]
        facts, inspected = stack.description.services, stack.inspect_urls
        limits = stack.engine.api.inspect_container(stack.containers[0].id)["HostConfig"]
        address = stack.containers[2].host
        here, inside = stack.addresses(None), stack.addresses("app")

    assert url == "http://cache:8090"
    assert (here["db"], inside["db"]) == ((address, 8090), ("db", 8090))
    assert peer.status == 0
    assert "/tmp" in written.output
    assert any("Read-only file system" in line for line in written.output)
    assert kept["worker"] == b"from the folder\n\n"
    assert subjects == [(name, name, "cgroup") for name in ("cache", "worker", "db", "app")]
    assert list(facts) == ["cache", "worker", "db"]
    assert (facts["cache"].port, facts["cache"].limits.cpus, facts["cache"].limits.memory_mib) == (
        8090,
        0.5,
        64,
    )
    assert facts["cache"].env_names == ("CACHE_PASSWORD", "PORT")
    assert len(facts["worker"].files["rows.txt"]) == len(facts["cache"].build.content) == 64
    assert facts["worker"].command[-1] == "cache"
    assert (limits["NanoCpus"], limits["Memory"]) == (500_000_000, 64 * BYTES_PER_MIB)
    assert inspected == {"db": f"redis://:pass@{address}:8090"}
    assert stack.secrets["CACHE_PASSWORD"] == "hunter2-secret"
    assert left_over() == []


async def test_on_the_host_network_services_are_reached_at_127_0_0_1(context, left_over):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        app_port, port = one.getsockname()[1], other.getsockname()[1]
    service = {"build": "app", "port": port, "env": {"PORT": "{port}", "HOST": "127.0.0.1"}}
    spec = topology(
        network="host",
        services={"cache": service},
        app={"port": app_port, "env": {"CACHE": "${cache.host}:${cache.port}"}},
    )

    async with open_docker(spec, context) as stack:
        assert await get("127.0.0.1", app_port, "/environment/CACHE") == f"127.0.0.1:{port}"
        assert await peer_of(stack, "127.0.0.1", port) == ("app", "cache", True)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"env": {"FAULT": "exits-at-start"}}, "the service db exited with status 7"),
        (
            {"env": {"FAULT": "silent"}, "ready_within": 2.0},
            ":8080 never accepted a connection, nothing listens there",
        ),
        (
            {"ready": {"command": ["sh", "-c", "echo not yet; exit 3"]}, "ready_within": 6.0},
            "never exited with status 0, the last time it exited with status 3: not yet",
        ),
        (
            {"ready": {"command": ["pg_isready"]}},
            "topology.services.db.ready.command: pg_isready cannot be run in the container",
        ),
        (
            {"env": {"FAULT": "never-ready"}, "ready": {"http": "/healthz"}, "ready_within": 6.0},
            "status was 503",
        ),
        ({"command": ["no-such-program"]}, "the service db cannot be started"),
        ({"files": {"nothing.sql": "/a.sql"}}, "topology.services.db.files: there is no file or folder"),
    ],
    ids=["exits", "silent", "command", "missing-command", "http", "no-program", "no-file"],
)
async def test_a_service_that_does_not_come_up_is_explained(context, left_over, service, words):
    error = await failure(topology(services={"db": {"build": "app", "port": 8080, **service}}), context)

    assert words in error.message
    assert left_over() == []


async def test_the_last_output_of_a_service_that_ended_is_shown(context, left_over):
    service = {"build": "app", "env": {"FAULT": "exits-at-start"}}

    error = await failure(topology(services={"db": service, "cache": CACHE}), context)

    assert isinstance(error, StackFailed)
    assert error.details == ("small_app: no database at all",)


async def test_a_link_out_of_the_folder_is_not_mounted(folder, left_over):
    (folder.base_dir / "rows.txt").symlink_to("/etc/hostname")
    service = {**CACHE, "files": {"rows.txt": "/rows.txt"}}

    error = await failure(topology(services={"db": service}), folder)

    assert "rows.txt is a link out of the folder" in error.message


async def test_a_missing_build_folder_of_a_service_is_named_with_its_place(context, left_over):
    error = await failure(topology(services={"db": {"build": "nothing", "port": 1}}), context)

    assert error.message == "topology.services.db.build: no Dockerfile in 'nothing'"


async def test_a_service_that_is_killed_breaks_the_stack_and_is_named(context, left_over):
    async with open_docker(topology(services={"cache": CACHE}), context) as stack:
        assert await peer_of(stack, "cache", 8090) == ("app", "cache", True)
        stack.engine.api.kill(stack.containers[0].id)
        with trio.fail_after(20):
            event = await stack.wait_broken()

    assert (event.code, event.message) == ("stack-failed", "the service cache was killed by SIGKILL")


async def test_nothing_is_left_if_the_start_is_cancelled_while_a_service_starts(context, left_over, recorder):
    service = {"build": "app", "port": 8080, "env": {"FAULT": "silent"}}
    with trio.move_on_after(3):
        async with open_docker(topology(services={"db": service}), context):
            pytest.fail("it came up")

    assert left_over() == []
    assert recorder.processes == set()
