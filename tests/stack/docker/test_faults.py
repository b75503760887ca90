"""Every failure is one clear message with the container's last output, and leaves nothing behind."""

import gc
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trio

from runner.core.errors import EnvironmentLacks, StackFailed, UsageError
from runner.experiment.model import Proxy
from runner.stack.docker import open_docker
from runner.stack.docker.engine import connect
from runner.stack.engine_context import DEFAULT_URL
from tests.stack.docker.conftest import APP, topology
from tests.stack.refusal import refusal

pytestmark = pytest.mark.docker

TWO_HOPS = {"replicas": 2, "proxy": {"kind": "nginx"}}


async def get(stack, path):
    with suppress(httpx.HTTPError):
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"http://{stack.endpoint.host}:{stack.endpoint.port}{path}")


def write_app(folder, *lines):
    folder.mkdir()
    (folder / "Dockerfile").write_text("\n".join(["ARG BASE=python:3.12-slim", "FROM ${BASE}", *lines]))
    return {"app": {"build": str(folder)}}


async def test_without_an_engine_the_hint_says_how_to_start_one(context, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")

    refused = await refusal(topology(), context)

    assert refused.message == f"no Docker Engine is running at {tmp_path}/docker.sock"
    assert "systemctl start docker" in refused.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
async def test_without_permission_the_hint_says_how_to_get_it():
    os.seteuid(65534)
    try:
        with pytest.raises(EnvironmentLacks) as refused:
            await connect()
    finally:
        os.seteuid(0)

    assert "no permission" in refused.value.message
    assert "usermod -aG docker" in refused.value.hint


async def test_a_remote_engine_is_refused(context, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")

    assert "not on this machine" in (await refusal(topology(), context)).message


async def test_an_unobtainable_image_is_named(context, left_over):
    refused = await refusal(topology(app={"build": None, "image": "loadproof-no-such-image:1"}), context)

    assert "loadproof-no-such-image:1 is not on this machine and cannot be pulled" in refused.message


async def test_an_unknown_image_source_is_refused(context, monkeypatch):
    monkeypatch.setenv("LOADPROOF_IMAGES", "everywhere")

    with pytest.raises(UsageError, match="everywhere"):
        async with open_docker(topology(), context):
            pass


async def test_a_missing_build_folder_lists_the_candidates(context, left_over):
    refused = await refusal(topology(app={"build": "no-such-folder"}), context)

    assert "no Dockerfile in 'no-such-folder'" in refused.message
    assert refused.details[0] == str(APP.parent / "no-such-folder" / "Dockerfile")


async def test_a_failing_build_shows_its_last_lines(context, left_over, tmp_path):
    spec = topology(**write_app(tmp_path / "broken", "RUN echo no compiler here && exit 4"))

    refused = await refusal(spec, context)

    assert "returned a non-zero code: 4" in refused.message
    assert "no compiler here" in refused.details


async def test_a_missing_command_is_named(context, left_over, tmp_path):
    refused = await refusal(topology(**write_app(tmp_path / "nope", 'CMD ["no-such-command"]')), context)

    assert refused.message.startswith("the app cannot be started")
    assert "no-such-command" in refused.message


async def test_a_replica_that_exits_at_its_start_is_reported_with_its_last_output(context, left_over):
    """It is a stack failure, and no group of errors although two replicas fail."""
    refused = await refusal(topology(**TWO_HOPS, app={"env": {"FAULT": "exits-at-start"}}), context)

    assert isinstance(refused, StackFailed)
    assert "exited with status 7" in refused.message
    assert refused.details == ("small_app: no database at all",)


async def test_a_replica_that_listens_and_never_becomes_ready_is_reported(context, left_over):
    app = {"env": {"FAULT": "never-ready"}, "ready_within": "6s"}  # a busy machine starts Python in seconds
    refused = await refusal(topology(app=app), context)

    assert refused.message.startswith("the app was not ready within 6 s")
    assert "the last status was 503" in refused.message
    assert refused.details == ()


async def test_a_replica_that_does_not_listen_is_reported_with_its_last_output(context, left_over):
    silent = ["sh", "-c", "echo thinking; exec sleep 600"]
    refused = await refusal(topology(app={"command": silent, "ready_within": "2s"}), context)

    assert refused.message.startswith("the app was not ready within 2 s")
    assert "nothing listens there" in refused.message
    assert refused.details == ("thinking",)
    assert "inside its container" not in refused.hint


async def test_nginx_output_about_a_rejected_configuration_is_quoted(context, left_over):
    spec = topology().model_copy(update={"proxy": Proxy.model_construct(workers="several", keepalive=0)})

    refused = await refusal(spec, context)

    assert "nginx exited with status 1" in refused.message
    assert "worker_processes" in refused.details[-1]


async def test_a_port_in_use_on_the_host_is_reported_with_its_holder(context, left_over):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = await refusal(topology(network="host", app={"port": port}), context)

    assert f"port {port} is already in use by" in refused.message
    assert str(os.getpid()) in refused.message


async def test_a_replica_that_exits_in_a_stage_is_noticed_and_ends_the_wait(context, left_over):
    async with open_docker(topology(**TWO_HOPS), context) as stack:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(get, stack, "/exit")
                while stack.broken is None:  # noqa: ASYNC110  (noticed without `wait_broken`, too)
                    await trio.sleep(0.05)
                event = await stack.wait_broken()

        assert event.code == "app-died"
        assert "exited with status 3" in event.message
        assert event.log == ("small_app: exit requested",)
        assert stack.broken == event


async def test_a_replica_out_of_memory_is_distinguished_from_one_that_exits(context, left_over):
    async with open_docker(topology(app={"memory": "48MiB"}), context) as stack:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(get, stack, "/eat")
                event = await stack.wait_broken()

    assert event.code == "out-of-memory"
    assert event.message == "the app exceeded its memory limit of 48 MiB"
    assert event.log == ("small_app: eating all memory",)


class Relay:
    """An engine that can be made to die: a socket in front of the real one."""

    def __init__(self, path: Path) -> None:
        self._sockets = [socket.socket(socket.AF_UNIX)]
        self._sockets[0].bind(str(path))
        self._sockets[0].listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._sockets[0].accept()
                self._sockets.append(client)
                engine = socket.socket(socket.AF_UNIX)
                self._sockets.append(engine)
                engine.connect(DEFAULT_URL.removeprefix("unix://"))
                for source, sink in ((client, engine), (engine, client)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def die(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_engine_that_dies_in_a_stage_ends_the_wait_and_is_reported(
    context, recorder, api, monkeypatch, tmp_path
):
    """The SDK leaves a socket that could not connect; the garbage collector is made to find it here."""
    relay = Relay(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    try:
        async with open_docker(topology(), context) as stack:
            with trio.fail_after(15):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.to_thread.run_sync, relay.die)
                    event = await stack.wait_broken()
    finally:
        await trio.to_thread.run_sync(relay.die)
        for it in stack.containers:
            api.remove_container(it.id, force=True)
        api.remove_network(f"loadproof-{context.run_id}")

    assert event.code == "stack-failed"
    assert "stopped responding" in event.message
    assert "runner clean" in recorder.lines[-1]
    assert recorder.engines  # the watchdog still guards both
    assert recorder.processes == {it.pid for it in stack.containers}
    gc.collect()
