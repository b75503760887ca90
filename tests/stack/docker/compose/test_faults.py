"""What goes wrong with a compose file is said in a sentence, with what to do, and nothing is left."""

import os
import shutil
import signal
import socket
from functools import partial

import pytest
import trio

from tests.stack.docker.compose.conftest import failure, objects_of

pytestmark = pytest.mark.docker

SERVE = ["python", "-m", "http.server", "8080"]


@pytest.fixture(autouse=True)
def _local_images(monkeypatch):
    monkeypatch.setenv("LOADPROOF_IMAGES", "local")


async def test_the_message_of_compose_is_shown_when_it_refuses_the_file(compose):
    error = await failure(compose({}, "services:\n  web:\n    imag: a\n"))

    assert "refuses docker-compose.yml" in error.message
    assert "imag" in error.message


async def test_a_file_that_is_no_yaml_is_refused_with_its_line(compose):
    error = await failure(compose({}, "services:\n  web: [\n"))

    assert "line 2" in error.message or "line 3" in error.message


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"target": {"service": "wbe", "port": 80}}, "target.service: docker-compose.yml has no", "'web'"),
        ({"scale": {"dbs": 2}}, "topology.scale: docker-compose.yml has no service 'dbs'", "'db'"),
        ({"roles": {"web": "app", "x": "proxy"}}, "topology.roles: docker-compose.yml has no", "db and web"),
        ({"profiles": ["fulll"]}, "no profile 'fulll'", "did you mean 'full'?"),
        ({"scale": {"db": 2}}, "2 containers of db, because it publishes the fixed port", "ports:"),
        ({"scale": {"web": 2}}, "2 containers of web, because it has the fixed container_name", "remove"),
        ({"files": ["absent.yml"]}, "topology.files: there is no file", "relative to the specification"),
    ],
)
async def test_the_specification_is_checked_against_the_file(compose, changes, message, hint):
    services = {
        "web": {"container_name": "loadproof-test-fixed"},
        "db": {"ports": ["127.0.0.1:18099:80"]},
        "more": {"profiles": ["full"]},
    }
    error = await failure(compose(services, **changes))

    assert message in error.message
    assert hint in error.hint


async def test_a_service_that_is_called_app_needs_a_role(compose):
    error = await failure(compose({"web": {}, "app": {}}))

    assert "a service 'app' whose role is not given" in error.message
    assert error.hint == "such as roles: {app: app, web: proxy}"


async def test_a_port_of_this_machine_that_is_in_use_is_named_with_its_holder(compose):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = await failure(compose({"web": {"ports": [f"{port}:8080"]}}))

    assert f"port {port} of this machine, which the service web publishes, is already in use" in error.message
    assert f"(pid {os.getpid()})" in error.message


async def test_a_service_that_exits_at_its_start_is_named_with_its_last_lines(compose):
    broken = {"command": ["sh", "-c", "echo no such table; exit 3"]}
    error = await failure(compose({"web": {"command": SERVE, "depends_on": ["db"]}, "db": broken}))

    assert (error.message, error.details) == ("db exited with status 3 at its start", ("no such table",))


async def test_a_service_whose_program_does_not_exist_is_named_with_the_engines_reason(compose):
    error = await failure(compose({"web": {"command": SERVE}, "db": {"command": ["no-such-program"]}}))

    assert error.message.startswith("db could not be started: ")
    assert "no-such-program" in error.message


async def test_an_unhealthy_service_is_named_with_its_last_lines(compose):
    sick = {
        "command": ["sh", "-c", "echo starting; sleep 60"],
        "healthcheck": {"test": ["CMD", "false"], "interval": "200ms", "retries": 2},
    }
    waits = {"command": SERVE, "depends_on": {"db": {"condition": "service_healthy"}}}
    error = await failure(compose({"web": waits, "db": sick}))

    assert (error.message, error.details) == ("db is unhealthy at its start", ("starting",))


async def test_a_target_that_listens_on_another_port_is_explained(compose):
    target = {"service": "web", "port": 8081}
    error = await failure(compose({"web": {"command": SERVE}}, target=target, ready_within=2.0))

    assert "nothing listens there" in error.message
    assert "it listens on 0.0.0.0:8080 inside its container: set topology.target.port" in error.hint


async def test_a_build_that_fails_shows_its_last_lines(compose):
    folder = compose.context.base_dir
    (folder / "Dockerfile").write_text("ARG BASE=python:3.12-slim\nFROM ${BASE}\nRUN echo looking && false\n")
    error = await failure(compose({}, "services: {web: {build: .}}"))

    assert "building the images failed" in error.message
    assert any("looking" in line for line in error.details)


@pytest.mark.parametrize(
    ("restart", "message"),
    [
        ("no", "the service db was killed by SIGKILL"),
        ("always", "the service db ended, and its restart policy starts it again"),
    ],
)
async def test_a_service_that_dies_in_a_stage_breaks_the_stack_and_is_named(compose, restart, message):
    services = {"web": {"command": SERVE}, "db": {"command": ["sleep", "60"], "restart": restart}}
    async with compose(services) as stack:
        db = next(it for it in stack.containers if it.plan.role == "db")
        os.kill(db.pid, signal.SIGKILL)
        with trio.fail_after(20):
            event = await stack.wait_broken()

    assert (event.code, event.message) == ("stack-failed", message)


async def test_load_goes_to_all_containers_of_a_scaled_target_in_turn(compose):
    async with compose({"web": {"command": SERVE}}, scale={"web": 2}, health=None) as stack:
        assert len(set(stack.endpoint.addresses)) == 2
        assert stack.endpoint.port == 8080
        assert [it.name for it in stack.subjects][:2] == ["app-1", "app-2"]
        assert stack.description.replicas == 2


async def test_cancellation_in_the_middle_of_the_start_leaves_nothing(compose, api, recorder):
    waits = {"command": SERVE, "depends_on": {"db": {"condition": "service_healthy"}}}
    slow = {"command": SERVE, "healthcheck": {"test": ["CMD", "sleep", "30"], "timeout": "40s"}}
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            async with compose({"web": waits, "db": slow}):
                raise AssertionError("it cannot become ready")

        nursery.start_soon(run)
        with trio.fail_after(30):
            while not objects_of(api, compose.context.run_id):  # noqa: ASYNC110  (another process makes them)
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert len(recorder.engines) == 1  # the watchdog goes on: the engine may still be creating something


async def test_without_compose_the_message_says_what_to_install(compose, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = await failure(compose({"web": {}}))

    assert "Compose is not installed" in error.message
    assert "docker-compose-plugin" in error.hint


async def test_a_compose_that_is_too_old_is_refused(compose, monkeypatch, tmp_path):
    old = tmp_path / "docker-compose"
    old.write_text("#!/bin/sh\necho 1.21.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(shutil, "which", partial(shutil.which, path=str(tmp_path)))
    error = await failure(compose({"web": {}}))

    assert "Compose 1.21.0, which is too old: 1.27 or newer is needed" in error.message
