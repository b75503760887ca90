"""Services of kind process: real Redis and PostgreSQL, and services with faults."""

import json
import os
import shutil
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from runner.core.errors import StackFailed
from runner.experiment.model import ProcessTopology
from runner.stack.process import open_process
from runner.stack.reaper import look_up, run_processes
from tests.stack.conftest import HTTP, eventually, python
from tests.stack.refusal import failure

pytestmark = pytest.mark.usefixtures("enough_memory")
PYTHON = Path(sys.executable).name
REDIS = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", ""]
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
APP = {"command": python("serve(port)"), "ready_within": 10.0}


def topology(services, **changes) -> ProcessTopology:
    app = {**APP, **changes.pop("app", {})}
    return ProcessTopology.model_validate({"kind": "process", "app": app, "services": services, **changes})


def resp(port: int, *words: str) -> bytes:
    """Return Redis's reply to a command."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall((" ".join(words) + "\r\n").encode())
        return connection.recv(1000)


@pytest.mark.postgresql
@pytest.mark.redis
async def test_redis_and_postgresql_are_ready_before_the_app_and_gone_after_it(ctx, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    postgres = [shutil.which("initdb"), "-D", str(data), "-A", "trust", "-U", "shop"]
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to be root
        shutil.chown(data, "nobody")
        tmp_path.chmod(0o755)
        for folder in tmp_path.parents:
            if folder.is_relative_to("/tmp"):
                folder.chmod(folder.stat().st_mode | 0o111)
        as_user = ["setpriv", "--reuid", "nobody", "--clear-groups"]
    await trio.run_process([*as_user, *postgres], capture_stdout=True)
    record = tmp_path / "record.json"
    env = {
        "CACHE": "redis://${cache.host}:${cache.port}/0",
        "DATABASE_URL": "postgres://shop@${db.host}:${db.port}",
    }
    code = f"import json; json.dump(dict(os.environ), open({str(record)!r}, 'w')); serve(port)"
    services = {
        "cache": {"command": REDIS},
        "db": {
            "command": [
                *as_user,
                "postgres",
                "-D",
                str(data),
                "-p",
                "{port}",
                "-c",
                f"unix_socket_directories={data}",
            ],
            "env": {"PGPORT": "{port}", "REDIS_PORT": "${cache.port}"},
            "ready": {"command": ["pg_isready", "-q", "-h", "127.0.0.1"]},
        },
    }

    async with open_process(topology(services, app={"command": python(code), "env": env}), ctx) as stack:
        environment = json.loads(record.read_text())
        facts = stack.description.services
        pong = resp(facts["cache"].port, "PING")

    assert pong == b"+PONG\r\n"
    assert [(subject.name, subject.role, subject.kind) for subject in stack.subjects] == [
        ("cache", "cache", "tree"),
        ("db", "db", "tree"),
        ("app", "app", "tree"),
    ]
    assert environment["CACHE"] == f"redis://127.0.0.1:{facts['cache'].port}/0"
    assert environment["DATABASE_URL"] == f"postgres://shop@127.0.0.1:{facts['db'].port}"
    assert [facts[name].origin for name in facts] == ["started", "started"]
    assert facts["db"].env_names == ("PGPORT", "REDIS_PORT")
    assert all(look_up(subject.pid) is None for subject in stack.subjects)


async def test_the_output_of_each_service_is_kept(ctx):
    kept = {}
    code = "print('hello from the service', flush=True); " + LISTEN
    service = {"command": [sys.executable, "-c", code, "{port}"]}

    async with open_process(topology({"db": service}), replace(ctx, keep_log=kept.__setitem__)):
        pass

    assert kept["db"] == b"hello from the service\n"


async def test_a_service_that_exits_is_named_with_its_last_output(ctx):
    error = await failure(
        topology({"db": {"command": [sys.executable, "-c", "print('no disk'); exit(7)", "{port}"]}}), ctx
    )

    assert isinstance(error, StackFailed)
    assert error.message.startswith(f"the service db ({PYTHON}) exited with status 7 before")
    assert error.details == ("no disk",)


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"command": [*SLEEP, "{port}"]}, "never accepted a connection, nothing listens there"),
        (
            {
                "command": [sys.executable, "-c", LISTEN, "{port}"],
                "ready": {"command": ["sh", "-c", "echo not yet; exit 3"]},
            },
            "never exited with status 0, the last time it exited with status 3: not yet",
        ),
        (
            {"command": python("serve(port)"), "ready": {"http": "/nothing"}},
            "/nothing never returned 2xx, the last status was 404",
        ),
    ],
    ids=["tcp", "command", "http"],
)
async def test_a_service_that_is_not_ready_in_time_is_explained(ctx, service, words):
    error = await failure(topology({"db": {**service, "ready_within": 5.0}}), ctx)

    assert f"the service db ({PYTHON}) was not ready within 5 s" in error.message
    assert words in error.message


async def test_a_program_for_readiness_that_hangs_is_ended(ctx):
    service = {"command": SLEEP, "ready": {"command": ["sleep", "61"]}, "ready_within": 0.5}

    error = await failure(topology({"db": service}), ctx)

    assert "was not ready within 0.5 s: `sleep 61` never exited with status 0" in error.message
    assert run_processes(ctx.run_id) == set()


async def test_a_missing_program_for_readiness_is_an_error_at_once(ctx):
    service = {"command": SLEEP, "ready": {"command": ["pg_isreadi"]}, "ready_within": 60.0}

    error = await failure(topology({"db": service}), ctx)

    assert error.message == "topology.services.db.ready.command: command not found: pg_isreadi"


async def test_a_missing_program_of_a_service_is_named_with_its_place(ctx):
    error = await failure(topology({"db": {"command": ["postgre"]}}), ctx)

    assert error.message == "topology.services.db.command: command not found: postgre"


async def test_a_fixed_port_that_is_in_use_is_an_error_that_names_the_holder(ctx):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        error = await failure(topology({"db": {"command": REDIS, "port": port}}), ctx)

    assert f"topology.services.db.port: port {port} is already in use by " in error.message
    assert f"(pid {os.getpid()})" in error.message


@pytest.mark.redis
async def test_a_service_that_is_killed_breaks_the_stack_and_is_named(ctx):
    async with open_process(topology({"cache": {"command": REDIS}}), ctx) as stack:
        os.kill(stack.subjects[0].pid, signal.SIGKILL)
        with trio.fail_after(10):
            event = await stack.wait_broken()

    assert event.code == "stack-failed"
    assert event.message == "the service cache (redis-server) was killed by SIGKILL"


async def test_a_service_without_a_port_need_only_run(ctx):
    async with open_process(topology({"worker": {"command": SLEEP}}), ctx) as stack:
        assert stack.description.services["worker"].port is None


async def test_a_service_without_a_port_that_ends_at_once_is_named(ctx):
    error = await failure(
        topology({"worker": {"command": [sys.executable, "-c", "print('no broker')"]}}), ctx
    )

    assert error.message == f"the service worker ({PYTHON}) exited with status 0 at its start"
    assert error.details == ("no broker",)


async def test_commands_start_in_their_working_directory(ctx, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "serve").write_text(
        f"#!{sys.executable}\n{HTTP}\nprint(os.getcwd(), flush=True); serve(port)\n"
    )
    (tmp_path / "shop" / "serve").chmod(0o755)
    kept = {}
    place = replace(ctx, base_dir=tmp_path, keep_log=kept.__setitem__)
    command = {"command": ["./serve", "{port}"], "cwd": "shop"}

    async with open_process(topology({"db": command}, app=command), place):
        pass

    assert kept == dict.fromkeys(("db", "app"), f"{tmp_path / 'shop'}\n".encode())


async def test_a_missing_working_directory_is_named(ctx, tmp_path):
    error = await failure(topology({}, app={"cwd": "shp"}), replace(ctx, base_dir=tmp_path))

    assert error.message == f"topology.app.cwd: there is no folder {tmp_path}/shp"


async def test_variables_of_services_are_inherited_and_masked(ctx, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter2-secret")
    code = "import os; print(os.environ['DB_PASSWORD'], flush=True); " + LISTEN
    kept = {}
    service = {"command": [sys.executable, "-c", code, "{port}"], "env_from": ["DB_PASSWORD"]}

    async with open_process(topology({"db": service}), replace(ctx, keep_log=kept.__setitem__)) as stack:
        assert stack.secrets == {"DB_PASSWORD": "hunter2-secret"}

    assert b"hunter2" not in kept["db"]


async def test_a_variable_of_a_service_that_is_not_set_is_an_error(ctx):
    error = await failure(topology({"db": {"command": SLEEP, "env_from": ["NO_SUCH_VARIABLE"]}}), ctx)

    assert error.message == "topology.services.db.env_from: NO_SUCH_VARIABLE is not set in the environment"


@pytest.mark.redis
async def test_services_are_pinned_to_the_processors_of_the_topology(ctx):
    last = max(os.sched_getaffinity(0))

    async with open_process(topology({"cache": {"command": REDIS}}, cpus=[last]), ctx) as stack:
        assert os.sched_getaffinity(stack.subjects[0].pid) == {last}


async def test_nothing_is_left_if_the_start_is_cancelled_while_a_service_starts(ctx):
    service = {"command": [*SLEEP, "{port}"]}
    with trio.move_on_after(0.5):
        async with open_process(topology({"db": service}), ctx):
            pytest.fail("it came up")

    await eventually(lambda: run_processes(ctx.run_id) == set())
    assert ctx.guard.guarded == set()
