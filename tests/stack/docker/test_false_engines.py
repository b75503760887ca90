"""Whatever listens at DOCKER_HOST: the run ends with a message about it, in bounded time and memory."""

import json
import os
import subprocess
import sys
import time
from itertools import cycle, product, repeat

import pytest
import trio

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import bounded_client, open_docker
from runner.stack.docker.bounded_client import Limits
from runner.stack.docker.checkup import check_docker
from runner.stack.docker.cleanup import clean
from runner.stack.docker.engine import connect
from runner.stack.docker.events import subscribe
from runner.stack.docker.start import is_process_of
from tests.servers.false_engine import (
    DETAILS,
    GOOD,
    ID,
    NO_RESPONSES,
    STATE,
    VERSION,
    answer,
    endless,
    false_engine,
    lines,
    whole,
)
from tests.stack.docker.conftest import topology

IMAGE = {"image": "app:1", "build": None, "port": 8080}
READ = [
    "GET /version",
    "GET /info",
    "GET /containers/json",
    "GET /images/",
    f"GET /containers/{ID}/json",
    f"GET /containers/{ID}/logs",
]
"""The requests on the way to a stack whose responses are used."""
NOT_THERE = "image app:1 is not on this machine and cannot be pulled: not found"
AS_LOGS = {
    "text", "empty", "not-utf-8", "deep", "list-of-numbers", "text-in-json", "null", "number",
    "too-large-number", "wrong-keys", "bad-error", "error-is-a-list", "error-is-no-json",
}  # fmt: skip
"""What a container may print, or an engine answer when it has no logs."""
CONTENTS = [name for name in NO_RESPONSES if name in AS_LOGS]
TRANSPORTS = [name for name in NO_RESPONSES if name not in AS_LOGS]
"""What ends in the client that all requests share, whatever was requested."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(bounded_client, "CALL", Limits(0.5, 0.5, 2**20))
    monkeypatch.setattr(bounded_client, "JOB", Limits(0.8, 0.5, 2**20))
    monkeypatch.setattr(bounded_client, "HEAD_WITHIN_S", 0.5)
    monkeypatch.setattr("runner.stack.docker.open._TAKE_DOWN_S", 0.3)
    monkeypatch.setattr("runner.stack.docker.open._LOGS_S", 0.3)
    monkeypatch.setattr("runner.stack.docker.events.HEAD_WITHIN_S", 0.5)


async def refusal(monkeypatch, path, context, changes, app=IMAGE, network="bridge"):
    """Open a stack on a false engine and return the error, which must come soon."""
    with false_engine(path, changes) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with trio.fail_after(20):
            with pytest.raises(EnvironmentLacks) as refused:
                async with open_docker(topology(app=app, network=network), context):
                    pytest.fail("it came up")
    return refused.value


@pytest.mark.parametrize(
    ("request_line", "name"),
    [*product(READ, CONTENTS), *zip(cycle(READ[:-1]), TRANSPORTS), *zip(repeat(READ[-1]), TRANSPORTS)],
)
async def test_what_is_no_response_is_one_message(request_line, name, context, monkeypatch, tmp_path):
    error = await refusal(
        monkeypatch, tmp_path / "engine", context, {request_line: NO_RESPONSES[name]}, network="host"
    )

    if request_line.endswith("/logs") and name in AS_LOGS:
        assert error.message == "the app exited with status 3 at its start"
    else:
        assert "Docker Engine" in error.message or error.message == NOT_THERE
    assert len(error.message) < 2_500


async def test_a_false_engine_that_answers_everything_is_tried_to_the_end(context, monkeypatch, tmp_path):
    error = await refusal(monkeypatch, tmp_path / "engine", context, {}, network="host")

    assert error.message == "the app exited with status 3 at its start"
    assert error.details == ("the last line",)


NO_POOL = "could not find an available, non-overlapping IPv4 address pool among the defaults"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, f"{NO_POOL} to assign to the network"),
        (400, "all predefined address pools have been fully subnetted"),
    ],
    ids=["20.10", "27"],
)
async def test_exhausted_address_pools_are_explained(status, reason, context, monkeypatch, tmp_path):
    """The first is recorded from an engine without a free pool, the second is cited by users of newer."""
    body = json.dumps({"message": reason}).encode()
    full = whole(body, b"HTTP/1.1 %d Sorry\r\nContent-Type: application/json\r\n" % status)

    error = await refusal(monkeypatch, tmp_path / "engine", context, {"POST /networks/create": full})

    assert "no addresses left" in error.message
    assert reason in error.message
    assert "docker network prune" in error.hint


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"Pid": -1}, "int` >= 0"),
        ({"Pid": 2**40}, "int` <= 4194304"),
        ({"Pid": "1"}, "Expected `int`, got `str`"),
        ({"Pid": 1.5}, "Expected `int`, got `float`"),
        ({"Pid": True}, "Expected `int`, got `bool`"),
        ({"Running": "no"}, "Expected `bool`, got `str`"),
        ({"ExitCode": 2**60}, "int` <= 4294967295"),
        ({"OOMKilled": None}, "Expected `bool`, got `null`"),
    ],
)
async def test_a_state_out_of_range_is_named(state, reason, context, monkeypatch, tmp_path):
    details = answer({**DETAILS, "State": {**STATE, **state}})

    error = await refusal(
        monkeypatch, tmp_path / "engine", context, {f"GET /containers/{ID}/json": details}, network="host"
    )

    assert reason in error.message
    assert "$.State" in error.message
    assert "DOCKER_HOST" in error.hint


@pytest.mark.parametrize("key", ["State", "NetworkSettings"])
async def test_a_missing_key_is_named(key, context, monkeypatch, tmp_path):
    details = answer({name: value for name, value in DETAILS.items() if name != key})

    error = await refusal(
        monkeypatch, tmp_path / "engine", context, {f"GET /containers/{ID}/json": details}, network="host"
    )

    assert f"`{key}`" in error.message


@pytest.mark.parametrize(
    ("networks", "reason"),
    [
        ({}, "app is not in the network"),
        ({"NAME": {"IPAddress": "8.8.8.8"}}, "8.8.8.8 is no address of a container on this machine"),
        ({"NAME": {"IPAddress": "db"}}, "'db' does not appear to be an IPv4 or IPv6 address"),
        ({"NAME": {"IPAddress": ""}}, "app has no address"),
        ({"NAME": {"IPAddress": 7}}, "Expected `str`, got `int`"),
    ],
)
async def test_the_load_goes_to_no_address_that_a_container_cannot_have(
    networks, reason, context, monkeypatch, tmp_path
):
    named = {key.replace("NAME", f"loadproof-{context.run_id}"): value for key, value in networks.items()}
    running = {**STATE, "Running": True, "Pid": os.getpid()}
    details = answer({**DETAILS, "State": running, "NetworkSettings": {"Networks": named, "Ports": {}}})

    error = await refusal(monkeypatch, tmp_path / "engine", context, {f"GET /containers/{ID}/json": details})

    assert reason in error.message


async def test_a_process_that_is_not_of_the_container_is_not_guarded(
    context, recorder, monkeypatch, tmp_path
):
    """The watchdog would end it."""
    details = answer({**DETAILS, "State": {**STATE, "Running": True, "Pid": os.getppid()}})

    error = await refusal(
        monkeypatch, tmp_path / "engine", context, {f"GET /containers/{ID}/json": details}, network="host"
    )

    assert "not visible on this machine" in error.message
    assert recorder.processes == set()
    assert not is_process_of(ID, os.getpid())


BUILDS = {
    "endless-output": endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b'13\r\n{"stream": "again"}\r\n' * 1
    ),
    "endless-line": endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
    "drip": endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b'13\r\n{"stream": "again"}\r\n', 0.05
    ),
    "wrong-types": lines({"stream": 5}),
    "list": lines([1]),
    "number": lines(3),
    "text": whole(b"It works!"),
}


JOBS = ("POST /build", "POST /images/create")


@pytest.mark.parametrize(
    ("request_line", "name"),
    [*product(JOBS, [*BUILDS, *sorted({*CONTENTS} - {*BUILDS, "empty"})]), *zip(cycle(JOBS), TRANSPORTS)],
)
async def test_a_build_or_a_pull_without_end_or_sense_ends(
    request_line, name, context, monkeypatch, tmp_path
):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\n")
    is_build = request_line == "POST /build"
    app = {"build": str(tmp_path / "app"), "port": 8080} if is_build else IMAGE
    missing = whole(b'{"message": "No such image"}', b"HTTP/1.1 404 Not Found\r\n")
    script = BUILDS.get(name) or NO_RESPONSES[name]

    error = await refusal(
        monkeypatch, tmp_path / "engine", context, {"GET /images/": missing, request_line: script}, app=app
    )

    assert any(words in error.message for words in ("Docker Engine", "building", "cannot be pulled"))
    assert len(error.message) < 5_000


async def test_an_engine_that_does_not_read_a_build_is_given_up(context, monkeypatch, tmp_path):
    """Its socket takes some of the context, and then nothing more."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "app" / "data").write_bytes(os.urandom(20_000_000))
    missing = whole(b'{"message": "No such image"}', b"HTTP/1.1 404 Not Found\r\n")
    changes = {"GET /images/": missing, "POST /build": NO_RESPONSES["silent"]}

    error = await refusal(
        monkeypatch, tmp_path / "engine", context, changes, {"build": str(tmp_path / "app"), "port": 8080}
    )

    assert "stopped responding (timed out)" in error.message


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (whole(b"no event\n"), "it is not the expected JSON"),
        (whole(b'{"Action": 5, "id": "x"}\n'), "Expected `str`, got `int`"),
        (whole(b'{"id": "x"}\n'), "missing required field `Action`"),
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536), "larger than 1 MiB"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n" * 500), "larger than 1 MiB"),
        (NO_RESPONSES["silent"], "stopped responding"),
        (NO_RESPONSES["drip-head"], "stopped responding"),
    ],
)
async def test_events_that_are_none_end_the_wait(script, reason, monkeypatch, tmp_path):
    with false_engine(tmp_path / "engine", {"GET /events": script}) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        engine = await connect()
        with trio.fail_after(10), pytest.raises(EnvironmentLacks, match="Docker Engine") as refused:
            async with subscribe(engine, {"event": ["die"]}) as events:
                await events.next()
        engine.close()

    assert reason in refused.value.message


@pytest.mark.parametrize("name", NO_RESPONSES)
async def test_doctor_and_clean_survive_it(name, monkeypatch, tmp_path):
    with false_engine(tmp_path / "engine", dict.fromkeys(GOOD, NO_RESPONSES[name])) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with trio.fail_after(20):
            checks = await check_docker()
            with pytest.raises(EnvironmentLacks, match="Docker Engine"):
                await clean(everything=True)

    assert [check.status for check in checks] == ["missing"]


@pytest.mark.parametrize("version", ["", "1", "latest", "1.41\r\nX: y", "../../x", "9" * 100, None, 1.41])
async def test_a_version_that_is_none_is_named(version, monkeypatch, tmp_path):
    with false_engine(tmp_path / "e", {"GET /version": answer({**VERSION, "ApiVersion": version})}) as url:
        monkeypatch.setenv("DOCKER_HOST", url)
        with pytest.raises(EnvironmentLacks, match="ApiVersion") as refused:
            await connect()

    assert "not usable" in refused.value.message


@pytest.mark.parametrize("name", ["silent", "endless", "continue-flood", "list-of-numbers", "deep", "text"])
def test_the_watchdog_gives_up_on_it(name, tmp_path):
    began_s = time.monotonic()
    with false_engine(tmp_path / "engine", dict.fromkeys(["GET /_ping", *GOOD], NO_RESPONSES[name])) as url:
        code = (
            "from runner.stack import watchdog_docker as w\n"
            "w._CALL_TIMEOUT_S, w._GIVE_UP_S, w._MAX_BYTES = 0.3, 1.0, 2**20\n"
            f"w.remove_all({url!r}, 'x')\n"
        )
        subprocess.run([sys.executable, "-c", code], timeout=15, check=False, stderr=subprocess.DEVNULL)

    assert time.monotonic() - began_s < 15
