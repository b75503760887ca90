import os
import signal
import subprocess

import pytest
import trio

from runner.core.codes import Role
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.experiment.external_topology import ExternalTopology
from runner.stack.external import open_external
from runner.stack.ports import free_port
from runner.stack.reaper import start_ticks
from tests.stack.test_readiness import OK, responding


def external(url, **keywords) -> ExternalTopology:
    return ExternalTopology(kind="external", url=url, **keywords)


async def failure(spec, ctx) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as raised:
        async with open_external(spec, ctx):
            pytest.fail("it came up")
    return raised.value


@pytest.fixture
def other():
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def test_a_listening_service_is_used_without_sending_a_request(ctx):
    async with responding(OK) as (url, requests):
        base = url.removesuffix("/healthz")
        async with open_external(external(base), ctx) as stack:
            assert stack.endpoint == Endpoint("127.0.0.1", int(base.rpartition(":")[2]))
            assert stack.subjects == ()
            assert stack.description.url == base

    assert [request for request in requests if request] == []


async def test_health_is_requested_below_the_base_path(ctx):
    async with responding(OK) as (url, requests):
        base = url.removesuffix("/healthz") + "/api/"
        async with open_external(external(base, health="/ok"), ctx) as stack:
            assert stack.endpoint.base_path == "/api"

    assert next(filter(None, requests)).startswith(b"GET /api/ok ")


async def test_its_processes_are_observed_and_left_running(ctx, other):
    async with responding(OK) as (url, _):
        spec = external(url, pids=(other.pid, os.getpid()))
        async with open_external(spec, ctx) as stack:
            subjects = stack.subjects

    assert [(subject.name, subject.role, subject.kind) for subject in subjects] == [
        ("app-1", Role.APP, "tree"),
        ("app-2", Role.APP, "tree"),
    ]
    assert subjects[0].started == start_ticks(other.pid)
    assert other.poll() is None


async def test_a_single_process_is_named_app(ctx, other):
    async with responding(OK) as (url, _), open_external(external(url, pids=(other.pid,)), ctx) as stack:
        assert [subject.name for subject in stack.subjects] == ["app"]


async def test_a_process_that_ends_breaks_the_stack(ctx, other):
    async with responding(OK) as (url, _), open_external(external(url, pids=(other.pid,)), ctx) as stack:
        assert stack.broken is None
        other.send_signal(signal.SIGKILL)
        with trio.fail_after(5):
            event = await stack.wait_broken()

        assert stack.broken == event
    assert (event.code, event.message) == ("app-died", f"the app's process {other.pid} has ended")


async def test_without_pids_the_stack_never_breaks(ctx, autojump_clock):
    async with responding(OK) as (url, _), open_external(external(url), ctx) as stack:
        with trio.move_on_after(3600) as scope:
            await stack.wait_broken()

    assert scope.cancelled_caught


async def test_a_pid_without_process_is_reported(ctx, other):
    other.kill()
    other.wait()

    error = await failure(external("http://127.0.0.1:1", pids=(other.pid,)), ctx)

    assert f"no process {other.pid}" in error.message


async def test_a_refused_connection_is_reported(ctx):
    url = f"http://127.0.0.1:{free_port()}"

    error = await failure(external(url), ctx)

    assert error.message == f"{url} cannot be reached: Connection refused"
    assert isinstance(error, StackFailed)


async def test_an_unknown_host_name_is_reported(ctx):
    error = await failure(external("http://no-such-host.invalid"), ctx)

    assert "the host no-such-host.invalid cannot be resolved: " in error.message


async def test_an_unhealthy_service_is_reported(ctx, monkeypatch):
    monkeypatch.setattr("runner.stack.external._READY_WITHIN_S", 0.3)
    async with responding(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") as (url, _):
        error = await failure(external(url.removesuffix("/healthz"), health="/healthz"), ctx)

    assert "the last status was 503" in error.message


async def test_an_ipv6_endpoint_has_no_brackets(ctx):
    try:
        listeners = await trio.open_tcp_listeners(0, host="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with listeners[0]:
        port = listeners[0].socket.getsockname()[1]
        async with open_external(external(f"http://[::1]:{port}"), ctx) as stack:
            assert stack.endpoint == Endpoint("::1", port)
