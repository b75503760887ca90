"""Services that run already: found by port, pid and name, and what is said when they are missing or end."""

import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import trio

from runner.core.errors import EnvironmentLacks
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.model import ProcessTopology
from runner.experiment.services import Watched
from runner.stack import watched
from runner.stack.external import open_external
from runner.stack.port_owners import listening_sockets, owners
from runner.stack.process import open_process
from runner.stack.reaper import look_up
from runner.stack.watched import find_watched
from tests.databases import free_port, redis
from tests.stack.conftest import HTTP, eventually, python

PREFORK = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for _ in range(3):
    if os.fork() == 0:
        break
time.sleep(600)
"""
REUSING = """
import os, socket, sys, time
for _ in range(3):
    if os.fork() == 0:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", int(sys.argv[1])))
        server.listen()
        break
time.sleep(600)
"""


@contextmanager
def running(code, *arguments, name=""):
    """Run Python code that listens on a port, in a group of its own."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def found(**how):
    services = await find_watched({"db": Watched(**how)})
    return [process.pid for process in services.processes["db"]]


async def eventually_found(count, **how):
    with trio.fail_after(20):
        while True:
            try:
                if len(await found(**how)) == count:
                    return await found(**how)
            except EnvironmentLacks:
                pass
            await trio.sleep(0.05)


async def problem(watch) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as raised:
        await find_watched({name: Watched(**how) for name, how in watch.items()})
    return raised.value


def holders_of(port):
    sockets = listening_sockets()
    return owners(sockets[port].inodes) if port in sockets else set()


@pytest.mark.parametrize(
    ("code", "workers"), [(PREFORK, 4), (REUSING, 3)], ids=["inherited socket", "socket of each worker"]
)
async def test_a_port_leads_to_the_master_of_all_workers(code, workers):
    port = free_port()
    with running(code, str(port)) as master:
        await eventually(lambda: len(holders_of(port)) == workers)
        assert await found(port=port) == [master.pid]


@pytest.mark.redis
async def test_a_service_is_observed_as_a_tree_and_described(ctx, tmp_path):
    with redis(tmp_path) as url:
        port = int(url.rpartition(":")[2])
        topology = ProcessTopology.model_validate(
            {
                "kind": "process",
                "app": {"command": python("serve(port)"), "ready_within": 10.0},
                "watch": {"cache": {"port": port, "inspect": "redis://:secret@${cache.host}:${cache.port}"}},
            }
        )
        async with open_process(topology, ctx) as stack:
            first, second = stack.subjects
            facts = stack.description.services["cache"]
            inspected, secrets = stack.inspect_urls, stack.secrets

        assert look_up(first.pid).name == "redis-server"

    assert (first.name, first.role, first.kind, second.name) == ("cache", "cache", "tree", "app")
    assert (facts.origin, facts.port, facts.pids, facts.command) == ("watched", port, (first.pid,), None)
    assert inspected == {"cache": f"redis://:secret@127.0.0.1:{port}"}
    assert "secret" in secrets.values()


@pytest.mark.redis
async def test_an_external_service_is_observed_with_what_it_uses(ctx, tmp_path):
    with redis(tmp_path) as url, running(HTTP + "serve(port)", str(port := free_port())) as app:
        await eventually_found(1, port=port)
        topology = ExternalTopology.model_validate(
            {
                "kind": "external",
                "url": f"http://127.0.0.1:{port}",
                "pids": [app.pid],
                "watch": {"cache": {"port": int(url.rpartition(":")[2])}},
            }
        )
        async with open_external(topology, ctx) as stack:
            assert [subject.role for subject in stack.subjects] == ["cache", "app"]
            assert list(stack.description.services) == ["cache"]


async def test_the_same_process_is_not_observed_twice(ctx, tmp_path):
    with running(HTTP + "serve(port)", str(port := free_port())) as app:
        await eventually_found(1, port=port)
        error = await problem({"one": {"port": port}, "two": {"pid": app.pid}})
        topology = ExternalTopology.model_validate(
            {
                "kind": "external",
                "url": f"http://127.0.0.1:{port}",
                "pids": [app.pid],
                "watch": {"web": {"port": port}},
            }
        )
        with pytest.raises(EnvironmentLacks, match=r"is also in topology\.pids"):
            async with open_external(topology, ctx):
                pass

    assert error.message.startswith("topology.watch.two: ")
    assert error.message.endswith(f"(pid {app.pid}) is already watched as one")


async def test_a_name_leads_to_all_processes_of_it_but_none_of_the_runner(tmp_path):
    name = f"service-{os.getpid()}"[:15]
    link = tmp_path / name
    link.symlink_to("/bin/sleep")
    pids = []
    try:
        for _ in range(2):  # started by a shell that ends: no descendants of this process
            script = f"{link} 600 >/dev/null 2>&1 & echo $!"
            pids.append(int(subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout))
        with subprocess.Popen([str(link), "600"]) as own:
            services = await find_watched({"db": Watched(name=name)})
            own.kill()
        assert [process.pid for process in services.processes["db"]] == pids
        assert [subject.name for subject in services.subjects] == ["db", "db-2"]
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.redis
async def test_a_missing_service_is_explained(tmp_path):
    with redis(tmp_path) as url:
        port = url.rpartition(":")[2]
        on_port = await problem({"db": {"port": free_port()}})
        misspelt = await problem({"db": {"name": "redis-servre"}})
        gone = await problem({"db": {"pid": 2**22 - 1}})

    assert on_port.message.startswith("topology.watch.db: nothing listens on port")
    assert on_port.hint.startswith("start the service first; listened on are ")
    assert misspelt.message == "topology.watch.db: no process is called redis-servre"
    assert gone.message == f"topology.watch.db: no process {2**22 - 1} is running"
    assert port


async def test_too_many_processes_are_refused(monkeypatch):
    monkeypatch.setattr(watched, "MAX_PROCESSES", 0)

    error = await problem({"db": {"pid": os.getppid()}})

    assert error.message == "topology.watch.db: it has 1 processes of its own; at most 0 can be watched"


@asynccontextmanager
async def noting(services):
    """Collect the notes about processes that end."""
    notes = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(services.note_departures, notes.append)
        yield notes
        nursery.cancel_scope.cancel()


async def test_a_process_that_ends_is_noted_and_its_successor_is_observed_next():
    port = free_port()
    with running(HTTP + "serve(port)", str(port)) as first:
        await eventually_found(1, port=port)
        services = await find_watched({"db": Watched(port=port)})
        async with noting(services) as notes:
            first.kill()
            first.wait()
            await eventually(lambda: notes)
    assert services.subjects == ()
    with running(HTTP + "serve(port)", str(port)) as second:
        await eventually_found(1, port=port)
        async with noting(services):
            await eventually(lambda: services.subjects)

    (note,) = notes
    assert note.startswith("the watched service db lost python")
    assert note.endswith(f"(pid {first.pid}), and nothing has taken its place yet")
    assert [subject.pid for subject in services.subjects] == [second.pid]


async def test_a_worker_that_is_replaced_is_named_with_its_successor():
    port = free_port()
    reuse = "import socket, sys, time; s = socket.socket(); s.setsockopt(1, 15, 1); "
    code = reuse + "s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen(); time.sleep(600)"
    with running(code, str(port)) as first:
        await eventually_found(1, port=port)
        services = await find_watched({"db": Watched(port=port)})
        with running(code, str(port)) as second:
            await eventually(lambda: len(owners(listening_sockets()[port].inodes)) == 2)
            async with noting(services) as notes:
                first.kill()
                first.wait()
                await eventually(lambda: notes)

    assert f"(pid {first.pid}); python" in notes[0]
    assert notes[0].endswith(f"(pid {second.pid}) took its place and is observed from the next stage on")
