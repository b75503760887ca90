"""A stack of containers comes up completely, matches its topology, and leaves nothing."""

import re
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from runner.core.codes import Role
from runner.experiment.services import Watched
from runner.stack.docker import open_docker
from runner.stack.protocols import StackContext
from runner.stack.watched import find_watched
from tests.stack.docker.conftest import RecordingGuard, Running, client, context_of, labelled, topology

pytestmark = pytest.mark.docker

TWO_HOPS = {"replicas": 2, "proxy": {"kind": "nginx"}}


async def get(endpoint, path="/", times=1):
    async with httpx.AsyncClient(trust_env=False) as client:
        return [
            (await client.get(f"http://{endpoint.host}:{endpoint.port}{path}")).text for _ in range(times)
        ]


@dataclass(frozen=True)
class TwoHops:
    """A stack of nginx and two replicas, and the run's context."""

    stack: Any
    context: StackContext
    recorder: RecordingGuard


@pytest.fixture(scope="module")
def two_hops(tmp_path_factory):
    """One for all tests that only look at it; nothing may be left of it."""
    recorder = RecordingGuard()
    context = context_of(recorder, tmp_path_factory.mktemp("scratch"))
    spec = topology(**TWO_HOPS, app={"metrics": "/metrics"})
    with (held := Running(open_docker(spec, context))).until_the_end():
        yield TwoHops(held.stack, context, recorder)
    assert (recorder.processes, recorder.engines) == (set(), [])
    with closing(client()) as api:
        assert labelled(api, context.run_id) == []


async def test_load_through_nginx_is_shared_evenly_by_the_replicas(two_hops, api):
    stack = two_hops.stack
    hosts = Counter(await get(stack.endpoint, times=20))

    assert stack.endpoint.host == "127.0.0.1"
    assert sorted(hosts.values()) == [10, 10]
    assert stack.broken is None
    assert len(labelled(api, two_hops.context.run_id)) == 4  # and a network


def test_the_watchdog_guards_what_is_up(two_hops):
    assert two_hops.recorder.processes == {it.pid for it in two_hops.stack.containers}
    assert len(two_hops.recorder.engines) == 1


def test_every_container_and_daemon_is_observed_under_its_role(two_hops):
    subjects = two_hops.stack.subjects
    counts = Counter((subject.role, subject.kind) for subject in subjects)

    assert counts[Role.APP, "cgroup"] == 2
    assert counts[Role.PROXY, "cgroup"] == 1
    assert counts[Role.FORWARDER, "process"] == 1
    assert {"dockerd", "containerd", "app-1", "app-2", "nginx"} <= {it.name for it in subjects}
    assert all(it.pid and it.started for it in subjects)
    assert len({it.name for it in subjects}) == len(subjects)


def test_the_description_names_images_by_digest_and_versions(two_hops):
    described = two_hops.stack.description

    assert described.images["app"].id.startswith("sha256:")
    assert described.images["proxy"].id.startswith("sha256:")
    assert described.build.base.id.startswith("sha256:")
    assert described.proxy.version[0].isdigit()
    assert described.proxy.keepalive == 0
    assert described.engine.version


async def test_replica_metrics_and_nginx_status_are_reachable_directly(two_hops):
    stack = two_hops.stack
    async with httpx.AsyncClient(trust_env=False) as client:

        async def counts():
            return [_counted((await client.get(url)).text) for url in stack.metrics_urls.values()]

        before = await counts()
        await get(stack.endpoint, times=6)
        after = await counts()
        status = (await client.get(stack.status_urls["nginx"])).text
        published = await client.get(f"http://127.0.0.1:{stack.endpoint.port}/nginx_status")

    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 3]
    assert status.startswith("Active connections:")
    assert "Active connections" not in published.text


def _counted(text):
    (count,) = re.fullmatch(r"app_requests_total (\d+)\n", text).groups()
    return int(count)


def test_an_apps_container_has_the_defaults_of_docker_run_and_nginx_is_hardened(two_hops, api):
    app, _, nginx = (api.inspect_container(it.id)["HostConfig"] for it in two_hops.stack.containers)

    assert not app["CapDrop"]
    assert not app["SecurityOpt"]
    assert not app["PidsLimit"]
    assert not app["ReadonlyRootfs"]
    assert nginx["CapDrop"] == ["ALL"]
    assert nginx["SecurityOpt"] == ["no-new-privileges"]


@pytest.mark.parametrize(
    ("changes", "host_is_loopback"),
    [
        ({"proxy": {"kind": "nginx"}, "publish": "container"}, False),
        ({}, True),
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


async def test_nginx_reuses_upstream_connections_only_with_keepalive(two_hops, context, left_over):
    spec = topology(proxy={"kind": "nginx", "keepalive": 4, "workers": 1})
    async with open_docker(spec, context) as stack:
        reused = await get(stack.endpoint, "/peer", times=6)

    assert len(set(await get(two_hops.stack.endpoint, "/peer", times=6))) == 6
    assert len(set(reused)) == 1


async def test_hardened_containers_have_no_privileges_and_the_configured_limits(api, context, left_over):
    app = {"cpus": 0.5, "memory": "64MiB", "env": {"COLOUR": "red"}, "hardened": True}
    spec = topology(proxy={"kind": "nginx"}, cpus=(0,), app=app)
    async with open_docker(spec, context) as stack:
        replica, nginx = (api.inspect_container(it.id) for it in stack.containers)

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


async def test_a_secret_reaches_the_app_and_no_description_or_log(context, left_over, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter2-token")
    kept = {}
    context = replace(context, keep_log=kept.__setitem__)

    async with open_docker(topology(app={"env_from": ["API_TOKEN"]}, publish="container"), context) as stack:
        assert stack.endpoint.host != "127.0.0.1"
        environment = (await get(stack.endpoint, "/environment/API_TOKEN"))[0]

        assert environment == "hunter2-token"
        assert stack.description.env_names == ("API_TOKEN",)
        assert "hunter2" not in repr(stack.description)
        assert stack.secrets == {"API_TOKEN": "hunter2-token"}
        assert (await stack.app_output())[-1] == "small_app: the value is [API_TOKEN]"
    assert b"the value is [API_TOKEN]\n" in kept["app"]
    assert b"hunter2" not in kept["app"]
