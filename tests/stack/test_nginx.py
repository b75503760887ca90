"""Nginx's configuration matches the specification, and nginx accepts it."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks
from runner.experiment.model import Proxy
from runner.stack import nginx_process, reaper
from runner.stack.control_group import create_group, remove_group
from runner.stack.nginx import NginxSettings, render_nginx
from runner.stack.nginx_process import start_nginx
from runner.stack.ports import free_port
from runner.stack.protocols import StackContext
from runner.stack.readiness import wait_ready

SETTINGS = {"upstreams": ["app-1:8080", "app-2:8080"], "listen": "8080", "status_listen": "8081"}
SERVER = Path(__file__).parent / "docker" / "app" / "small_app.py"


def rendered(**changes):
    return render_nginx(NginxSettings(scratch="/tmp", **{**SETTINGS, **changes}))


def test_every_replica_is_an_upstream_that_stays_in_rotation():
    text = rendered()

    assert "server app-1:8080 max_fails=0;" in text
    assert "server app-2:8080 max_fails=0;" in text
    assert "proxy_next_upstream off;" in text


def test_without_keepalive_every_request_opens_a_connection_upstream():
    text = rendered(keepalive=0)

    assert "proxy_set_header Connection close;" in text
    assert "    keepalive " not in text


def test_with_keepalive_upstream_connections_are_reused():
    text = rendered(keepalive=32)

    assert "keepalive 32;" in text
    assert 'proxy_set_header Connection "";' in text
    assert "proxy_http_version 1.1;" in text


def test_nothing_is_logged_per_request():
    assert "access_log off;" in rendered()


def test_limits_and_user_are_set_only_where_they_are_known():
    assert "worker_rlimit_nofile" not in rendered()
    assert "worker_rlimit_nofile 1024;" in rendered(max_files=1024)
    assert "user root;" in rendered(user="root")


@pytest.fixture
def context(tmp_path):
    """A run without a watchdog."""
    quiet = SimpleNamespace(process=lambda pid: None, forget=lambda pid: None)
    scratch = tmp_path / "a folder"
    scratch.mkdir()
    return StackContext(f"nginx-{free_port()}", "hops", tmp_path, scratch, quiet, lambda line: None)


@pytest.fixture
def replicas():
    """Two services that return the address of their client."""
    ports = [free_port(), free_port()]
    environments = [{"PORT": str(port), "HOST": "127.0.0.1"} for port in ports]
    started = [subprocess.Popen([sys.executable, SERVER], env=environment) for environment in environments]
    yield ports
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.nginx
@pytest.mark.parametrize(("keepalive", "connections"), [(0, 8), (4, 2)])
async def test_nginx_on_the_host_shares_requests_between_processes(context, replicas, keepalive, connections):
    for port in replicas:
        await wait_ready(f"http://127.0.0.1:{port}/healthz", deadline_s=10, alive=lambda: None)

    nginx = await start_nginx(Proxy(keepalive=keepalive, workers=1), replicas, context)

    entry = f"http://127.0.0.1:{nginx.command.port}"
    try:
        await wait_ready(f"{entry}/peer", deadline_s=10, alive=nginx.command.death)
        async with httpx.AsyncClient(trust_env=False) as client:
            peers = {(await client.get(f"{entry}/peer")).text for _ in range(8)}
            status = await client.get(nginx.status_url)
        assert len(peers) == connections
        assert status.text.startswith("Active connections")
        assert nginx.command.subject.role is Role.PROXY
        assert nginx.description.version is not None
        assert nginx.command.output.lines() == ()
    finally:
        # by descent: nginx overwrites the environment, and with it the run's cookie, with its title
        assert reaper.end(context.run_id, nginx.command.roots, grace_s=1)
        await nginx.command.process.close()
        remove_group(create_group(context.run_id))
        nginx.command.output.close()


async def test_without_nginx_the_hint_says_how_to_install_it(context, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("runner.stack.nginx_process._MORE_FOLDERS", ())

    with pytest.raises(EnvironmentLacks) as lacks:
        await start_nginx(Proxy(), [1], context)

    assert "nginx-light" in lacks.value.hint


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec yes >&2", "it printed more than 32 MiB"),
        ("exec sleep 100", "it did not finish within 0.5 s"),
    ],
)
async def test_an_nginx_that_does_not_tell_its_version_is_one_message(
    script, reason, monkeypatch, tmp_path, context
):
    write_program(tmp_path / "nginx", script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(nginx_process, "_VERSION_WITHIN_S", 0.5 if "sleep" in script else 60.0)

    with pytest.raises(EnvironmentLacks, match="nginx -v` does not work") as refused:
        await start_nginx(Proxy.model_validate({"kind": "nginx"}), [1], context, cpus=())

    assert reason in refused.value.message


@pytest.mark.parametrize("printed", ["nginx/" + "9" * 5000, "nginx/1..2", "nginx/-1", "nginx version: ?", ""])
async def test_a_version_that_is_none_is_not_known(printed, monkeypatch, tmp_path):
    write_program(tmp_path / "nginx", f"echo '{printed}' >&2")

    assert await nginx_process._version(str(tmp_path / "nginx")) is None


def write_program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
