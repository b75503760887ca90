"""A stack of containers comes up completely, matches its topology, and leaves nothing."""

from collections import Counter
from dataclasses import replace

import httpx
import pytest

from runner.core.codes import Role
from runner.experiment.services import Watched
from runner.stack.docker import open_docker
from runner.stack.watched import find_watched
from tests.stack.docker.conftest import topology

pytestmark = pytest.mark.docker

TWO_HOPS = {"replicas": 2, "proxy": {"kind": "nginx"}}


async def get(endpoint, path="/", times=1):
    async with httpx.AsyncClient(trust_env=False) as client:
        return [
            (await client.get(f"http://{endpoint.host}:{endpoint.port}{path}")).text for _ in range(times)
        ]


async def test_load_through_nginx_is_shared_evenly_by_the_replicas(context, left_over):
    async with open_docker(topology(**TWO_HOPS), context) as stack:
        hosts = Counter(await get(stack.endpoint, times=20))

        assert stack.endpoint.host == "127.0.0.1"
        assert sorted(hosts.values()) == [10, 10]
        assert stack.broken is None
        assert left_over() != []
    assert left_over() == []


async def test_the_watchdog_guards_what_is_up_and_forgets_it_afterwards(context, recorder, left_over):
    async with open_docker(topology(**TWO_HOPS), context) as stack:
        assert recorder.processes == {it.pid for it in stack.containers}
        assert len(recorder.engines) == 1
    assert (recorder.processes, recorder.engines) == (set(), [])


async def test_every_container_and_daemon_is_observed_under_its_role(context, left_over):
    async with open_docker(topology(**TWO_HOPS), context) as stack:
        counts = Counter((subject.role, subject.kind) for subject in stack.subjects)

    assert counts[Role.APP, "cgroup"] == 2
    assert counts[Role.PROXY, "cgroup"] == 1
    assert counts[Role.FORWARDER, "process"] == 1
    assert {"dockerd", "containerd", "app-1", "app-2", "nginx"} <= {it.name for it in stack.subjects}
    assert all(it.pid and it.started for it in stack.subjects)
    assert len({it.name for it in stack.subjects}) == len(stack.subjects)


async def test_the_description_names_images_by_digest_and_versions(context, left_over):
    async with open_docker(topology(**TWO_HOPS), context) as stack:
        described = stack.description

    assert described.images["app"].id.startswith("sha256:")
    assert described.images["proxy"].id.startswith("sha256:")
    assert described.build.base.id.startswith("sha256:")
    assert described.proxy.version[0].isdigit()
    assert described.proxy.keepalive == 0
    assert described.engine.version


@pytest.mark.parametrize(
    ("changes", "host_is_loopback"),
    [
        ({"proxy": {"kind": "nginx", "keepalive": 16}}, True),
        ({"proxy": {"kind": "nginx"}, "publish": "container"}, False),
        ({"publish": "container"}, False),
        ({}, True),
        ({"network": "host", "app": {"port": 9_431}}, True),
        ({"network": "host", "app": {"port": 9_441}, "replicas": 2, "proxy": {"kind": "nginx"}}, True),
    ],
    ids=str,
)
async def test_every_network_setting_responds(context, left_over, changes, host_is_loopback):
    async with open_docker(topology(**changes), context) as stack:
        assert len(set(await get(stack.endpoint, times=4))) == 1
        assert (stack.endpoint.host == "127.0.0.1") is host_is_loopback
        forwarders = [it for it in stack.subjects if it.role is Role.FORWARDER]
        published = changes.get("publish") != "container" and changes.get("network") != "host"
        assert len(forwarders) == published
        if published:
            await leads_to_a_container(stack)


async def leads_to_a_container(stack):
    """Check that a service is watched in its container although docker-proxy has its port."""
    watched = await find_watched({"db": Watched(port=stack.endpoint.port)})
    (process,) = watched.processes["db"]
    assert process.pid in {container.pid for container in stack.containers}


async def test_nginx_reuses_upstream_connections_only_with_keepalive(context, left_over):
    connections = {}
    for keepalive in (0, 4):
        spec = topology(proxy={"kind": "nginx", "keepalive": keepalive, "workers": 1})
        async with open_docker(spec, context) as stack:
            connections[keepalive] = len(set(await get(stack.endpoint, "/peer", times=6)))

    assert connections == {0: 6, 4: 1}


async def test_hardened_containers_have_no_privileges_and_the_configured_limits(api, context, left_over):
    app = {"cpus": 0.5, "memory": "64MiB", "env": {"COLOUR": "red"}, "hardened": True}
    spec = topology(**TWO_HOPS, cpus=(0,), app=app)
    async with open_docker(spec, context) as stack:
        replica, _, nginx = (api.inspect_container(it.id) for it in stack.containers)

    for details in (replica, nginx):
        assert details["HostConfig"]["CpusetCpus"] == "0"
        assert details["HostConfig"]["CapDrop"] == ["ALL"]
        assert not details["HostConfig"]["CapAdd"]
        assert "no-new-privileges" in details["HostConfig"]["SecurityOpt"][0]
        assert details["HostConfig"]["PidsLimit"] > 0
    assert nginx["HostConfig"]["ReadonlyRootfs"]
    assert nginx["Config"]["User"] == "65534:65534"
    assert nginx["HostConfig"]["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"
    assert replica["HostConfig"]["NanoCpus"] == 500_000_000
    assert replica["HostConfig"]["Memory"] == 64 * 1024 * 1024
    assert "COLOUR=red" in replica["Config"]["Env"]


async def test_replica_metrics_and_nginx_status_are_reachable_directly(context, left_over):
    async with open_docker(topology(**TWO_HOPS, app={"metrics": "/metrics"}), context) as stack:
        await get(stack.endpoint, times=6)
        async with httpx.AsyncClient(trust_env=False) as client:
            counts = [(await client.get(url)).text for url in stack.metrics_urls.values()]
            status = (await client.get(stack.status_urls["nginx"])).text
            published = await client.get(f"http://127.0.0.1:{stack.endpoint.port}/nginx_status")

    assert counts == ["app_requests_total 3\n"] * 2
    assert status.startswith("Active connections:")
    assert "Active connections" not in published.text


async def test_a_secret_reaches_the_app_and_no_description_or_log(context, left_over, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter2-token")
    kept = {}
    context = replace(context, keep_log=kept.__setitem__)

    async with open_docker(topology(app={"env_from": ["API_TOKEN"]}), context) as stack:
        environment = (await get(stack.endpoint, "/environment/API_TOKEN"))[0]

        assert environment == "hunter2-token"
        assert stack.description.env_names == ("API_TOKEN",)
        assert "hunter2" not in repr(stack.description)
        assert stack.secrets == {"API_TOKEN": "hunter2-token"}
        assert (await stack.app_output())[-1] == "small_app: the value is [API_TOKEN]"
    assert b"the value is [API_TOKEN]\n" in kept["app"]
    assert b"hunter2" not in kept["app"]
