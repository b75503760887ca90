"""Hints about BuildKit, missing base images, and apps that listen in the wrong place."""

import os
import socket
import time

import pytest

from runner.stack.docker.build_hints import build_hint, pull_hint
from runner.stack.docker.images import _stand_in_hint
from runner.stack.docker.listening import listening
from tests.stack.docker.conftest import topology
from tests.stack.refusal import refusal

BASE = "ARG BASE=python:3.12-slim\nFROM ${BASE}\n"

docker = pytest.mark.docker


def app_of(folder, dockerfile):
    (folder / "Dockerfile").write_text(dockerfile)
    (folder / "a").write_text("")
    return topology(app={"build": str(folder)})


@docker
@pytest.mark.parametrize(
    "line",
    [
        "RUN --mount=type=cache,target=/x true",
        "COPY --chmod=755 a /a",
        "COPY --link a /a",
        "ADD --checksum=sha256:00 a /a",
        "RUN --network=none true",
        "RUN <<EOT\necho hello\nEOT",
        "COPY <<'EOT' /x\nhello\nEOT",
        "ARG X=abc\nENV Y=${X#a}",
    ],
)
async def test_a_dockerfile_that_needs_buildkit_gets_a_hint(context, left_over, tmp_path, line):
    refused = await refusal(app_of(tmp_path, BASE + line + "\n"), context)

    assert refused.message.startswith("building the image failed: ")
    assert f"DOCKER_BUILDKIT=1 docker build -t NAME {tmp_path}" in refused.hint
    assert "`image: NAME`" in refused.hint


@docker
async def test_a_platform_variable_of_buildkit_gets_a_hint(context, left_over, tmp_path):
    dockerfile = "FROM --platform=$BUILDPLATFORM loadproof-base/python:bookworm\n"

    assert "needs BuildKit" in (await refusal(app_of(tmp_path, dockerfile), context)).hint


@docker
async def test_a_mistake_in_a_dockerfile_gets_no_hint_about_buildkit(context, left_over, tmp_path):
    refused = await refusal(app_of(tmp_path, BASE + "COPPY a /a\n"), context)

    assert "unknown instruction: COPPY" in refused.message
    assert refused.hint == ""


@docker
@pytest.mark.parametrize(
    ("dockerfile", "image"),
    [
        ("FROM localhost:1/none/such:1\n", "localhost:1/none/such:1"),
        (
            "FROM loadproof-base/python:bookworm AS first\nFROM localhost:1/none/such:2\n",
            "localhost:1/none/such:2",
        ),
    ],
)
async def test_a_missing_base_without_a_registry_is_named_before_the_build(
    context, left_over, tmp_path, dockerfile, image
):
    began = time.monotonic()
    refused = await refusal(app_of(tmp_path, dockerfile), context)

    assert f"the base image {image} in {tmp_path}/Dockerfile is not on this machine" in refused.message
    assert refused.hint.startswith("no registry responds")
    assert "docker save, docker load" in refused.hint
    assert time.monotonic() - began < 20


@docker
async def test_a_base_in_a_variable_or_a_copy_from_an_image_gets_the_same_hint(context, left_over, tmp_path):
    by_variable = app_of(tmp_path, "ARG TAG=1\nFROM localhost:1/none/such:${TAG}\n")
    assert "no registry responds" in (await refusal(by_variable, context)).hint

    by_copy = app_of(tmp_path, BASE + "COPY --from=localhost:1/none/such:1 /a /a\n")
    assert "no registry responds" in (await refusal(by_copy, context)).hint


@docker
async def test_a_registry_that_accepts_and_says_nothing_does_not_block_a_build(
    context, left_over, tmp_path, monkeypatch
):
    monkeypatch.setattr("runner.stack.docker.images._FIRST_RESPONSE_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        image = f"127.0.0.1:{silent.getsockname()[1]}/none/such:1"

        refused = await refusal(app_of(tmp_path, f"FROM {image}\n"), context)

    assert "the registry does not respond" in refused.message
    assert "no registry responds" in refused.hint


@docker
async def test_the_stages_of_a_dockerfile_are_not_pulled(context, left_over, tmp_path):
    lines = ["FROM loadproof-base/python:bookworm AS First", "COPY a /a", "FROM first", "RUN false"]

    refused = await refusal(app_of(tmp_path, "\n".join(lines) + "\n"), context)

    assert "returned a non-zero code: 1" in refused.message


def test_a_base_with_a_stand_in_gets_a_hint_about_it():
    assert "ARG BASE=python:3.12-slim" in _stand_in_hint("python:3.12-slim")
    assert _stand_in_hint("golang:1") == ""


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
            "network",
        ),
        ('Get "https://r/v2/": net/http: request canceled while waiting for connection (Timeout)', "network"),
        (
            "pull access denied for a/b, repository does not exist or may require 'docker login'",
            "name and tag",
        ),
        ("manifest for python:3.99 not found: manifest unknown: manifest unknown", "name and tag"),
        ("no space left on device", "pull it where"),
    ],
)
def test_a_failed_pull_is_explained(reason, words):
    assert words in pull_hint(reason)


def test_an_error_of_the_apps_own_build_gets_no_hint_about_registries():
    error = "The command '/bin/sh -c pip install x' returned a non-zero code: 1"

    assert build_hint(error, "FROM a\nRUN pip install x\n", "/a") == ""


SERVER = """
import http.server
http.server.ThreadingHTTPServer(("{host}", {port}), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@docker
@pytest.mark.parametrize(
    ("host", "port", "publish", "hint"),
    [
        ("127.0.0.1", 8080, "port", "it listens on 127.0.0.1:8080 inside its container"),
        (
            "0.0.0.0",
            3000,
            "container",
            "it listens on 0.0.0.0:3000 inside its container: set topology.app.port",
        ),
    ],
)
async def test_an_app_that_listens_in_the_wrong_place_gets_a_hint(
    context, left_over, host, port, publish, hint
):
    code = SERVER.format(host=host, port=port)
    app = {"build": None, "image": "loadproof-base/python:bookworm", "command": ["python", "-c", code]}
    refused = await refusal(topology(app=app | {"ready_within": "6s"}, publish=publish), context)

    assert "nothing listens there" in refused.message
    assert hint in refused.hint
    if host == "127.0.0.1":
        assert "make it listen on 0.0.0.0" in refused.hint


def test_addresses_of_this_machines_own_table_are_decoded():
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        sockets = {(str(address), port) for address, port in listening(os.getpid())}

        assert ("127.0.0.1", four.getsockname()[1]) in sockets
        assert ("::1", six.getsockname()[1]) in sockets
