"""Counters of other namespaces, of services without subjects, and without permission."""

import ast
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from runner.core.codes import Role
from runner.core.endpoint import Endpoint
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.counters.conntrack import parse_conntrack, read_conntrack
from runner.observe.counters.gather import Counters
from runner.observe.counters.level import Level
from runner.observe.counters.network import read_tcp
from runner.observe.counters.page_watch import Pages
from runner.observe.counters.ports import Ports
from runner.observe.counters.sources import sources_for
from runner.observe.processes import start_ticks
from tests.servers.scripted import scripted

ROOT = pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root")


def window(seconds):
    start = time.monotonic_ns()
    return Window(start, start, start + round(seconds * 1e9))


def start(script, *words, **more):
    process = subprocess.Popen(
        [*words, sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more
    )
    assert process.stdout.readline() == b"up\n"
    return process


def subject(process, kind="tree"):
    return Subject("app", Role.APP, kind, process.pid, start_ticks(process.pid))


def by_key(counters):
    return {(counter.scope, counter.name): counter for counter in counters.readable}


@ROOT
async def test_the_port_range_of_another_namespace_is_its_own():
    script = """
import pathlib, sys
pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40099")
print("up", flush=True); sys.stdin.read()
"""
    with start(script, shutil.which("unshare"), "--net") as process:
        with closing(Ports("net:host", os.getpid())) as own, closing(Ports("net:app", process.pid)) as theirs:
            limits = [source.read()["ports.in_use"].limit for source in (own, theirs)]
        process.kill()

    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert limits == [high - low + 1, 100]


async def test_the_listener_of_a_service_without_a_subject_is_read():
    with socket.create_server(("127.0.0.1", 0), backlog=7) as listener:
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1])
        counters = Counters((), window(0.1), endpoint=endpoint)
        await counters.watch()

    assert by_key(counters)["net:host", f"tcp.accept_queue.{endpoint.port}"].limit == 7
    assert [name for _, name in by_key(counters) if "accept_queue" in name] == [
        f"tcp.accept_queue.{endpoint.port}"
    ]


def test_a_service_on_another_host_has_no_listener_here():
    families = [source.family for source in sources_for((), Endpoint("192.0.2.1", 80))]

    assert "tcp.accept_queue" not in families
    assert "tcp" in families


async def test_a_process_that_ends_in_the_window_has_no_counters():
    with start("print('up', flush=True); input()") as process:
        counters = Counters([subject(process)], window(0.5))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(counters.watch)
            await trio.sleep(0.2)
            process.kill()
            process.wait()

    assert not [key for key in by_key(counters) if key[0] == "app"]
    assert {(fault.name, fault.reason) for fault in counters.unreadable if fault.scope == "app"} == {
        (name, "its process has ended") for name in ("threads", "fds", "ctx", "io", "io waits")
    }


def test_a_reused_pid_is_another_process():
    other = Subject("app", Role.APP, "process", os.getpid(), 1)

    for source in sources_for([other]):
        if source.scope == "app":
            with pytest.raises(ProcessLookupError):
                source.read()


async def test_a_watch_that_is_cut_short_keeps_its_readings():
    counters = Counters((), window(30))
    with trio.move_on_after(0.2):
        await counters.watch()

    switches = by_key(counters)["host", "context_switches"]
    assert switches.after > switches.before


async def test_a_page_that_is_not_readable_at_the_begin_is_not_read_again():
    page = b"Active connections: 1 \nserver accepts handled requests\n 10 10 10 \n"
    requests = []

    def respond(client, request):
        requests.append(request)
        status = b"200 OK" if len(requests) > 1 else b"503 Busy"
        client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(page), page))

    with scripted(respond) as port:
        counters = Counters((), window(0.3), Pages({}, {"nginx": f"http://127.0.0.1:{port}/"}))
        await counters.watch()

    assert len(requests) == 1
    assert not [key for key in by_key(counters) if key[0] == "nginx"]
    assert [(fault.name, fault.reason) for fault in counters.unreadable if fault.scope == "nginx"] == [
        ("nginx", "its page returned status 503")
    ]


async def test_nginxs_connections_are_read_every_second_for_their_peak():
    page = b"Active connections: %d \nserver accepts handled requests\n 10 10 10 \n"
    levels = iter([1, 30, 2])

    def respond(client, _):
        text = page % next(levels)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    with scripted(respond) as port:
        counters = Counters(
            (), window(1.1), Pages({}, {"nginx": f"http://127.0.0.1:{port}/"}, max_connections=32)
        )
        await counters.watch()

    active = by_key(counters)["nginx", "nginx.active"]
    assert (active.before, active.peak, active.after, active.limit) == (1, 30, 2, 32)


@ROOT
def test_only_roles_that_open_connections_have_ports_in_use():
    script = "import sys; print('up', flush=True); sys.stdin.read()"
    families = {}
    for role in Role.APP, "db":
        with start(script, shutil.which("unshare"), "--net") as process:
            watched = replace(subject(process), role=role)
            families[role] = [
                source.family for source in sources_for([watched]) if source.scope.startswith("net:app")
            ]
            process.kill()

    assert "ports" in families[Role.APP]
    assert "ports" not in families["db"]


async def test_a_page_whose_connection_is_closed_is_requested_again():
    page = b"Active connections: 1 \nserver accepts handled requests\n 10 %d 10 \n"
    requests = []

    def respond(client, request):
        requests.append(request)
        if len(requests) != 2:  # the second connection is closed without a response
            text = page % (9 + len(requests))
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        else:
            client.shutdown(socket.SHUT_RDWR)

    with scripted(respond) as port:
        counters = Counters((), window(0.1), Pages({}, {"nginx": f"http://127.0.0.1:{port}/"}))
        await counters.watch()

    handled = by_key(counters)["nginx", "nginx.handled"]
    assert (handled.before, handled.after) == (10, 12)


def read_as_nobody(watched):
    """Counters without privileges: reasons by (scope, name), and the keys of readable ones."""
    script = f"""
import os, time, trio
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.counters.gather import Counters
start = time.monotonic_ns()
watched = Subject("app", Role("{watched.role}"), "process", {watched.pid}, {watched.started})
counters = Counters([watched], Window(start, start, start + 50_000_000))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
trio.run(counters.watch)
print(dict(((fault.scope, fault.name), fault.reason) for fault in counters.unreadable))
print([(counter.scope, counter.name) for counter in counters.readable])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [ast.literal_eval(line) for line in done.stdout.splitlines()]


@ROOT
def test_the_reason_of_hidden_counters_is_not_permitted():
    reasons, readable = read_as_nobody(
        Subject("app", Role.APP, "process", os.getpid(), start_ticks(os.getpid()))
    )

    assert reasons["net:host", "tcp.accept_queue"] == "not permitted"
    assert {("net:host", "tcp.listen_overflows"), ("app", "threads.hottest_cores")} <= set(
        map(tuple, readable)
    )


@ROOT
def test_a_user_can_read_the_network_of_roots_container():
    script = "import sys; print('up', flush=True); sys.stdin.read()"
    with start(script, shutil.which("unshare"), "--net") as process:
        reasons, readable = read_as_nobody(replace(subject(process), role=Role.PROXY))
        process.kill()

    assert reasons["net:app", "tcp.accept_queue"] == reasons["net:app", "ports"] == "not permitted"
    assert ("net:app", "tcp.listen_overflows") in set(map(tuple, readable))


def test_a_counter_that_the_kernel_lacks_is_none_and_not_zero():
    levels = parse_conntrack("entries searched drop\n0000000a 0 1\n", None)

    assert levels["conntrack.drop"] == Level(1)
    assert levels["conntrack.early_drop"] is None


def test_a_namespace_without_connection_tracking_raises_and_is_not_zero():
    with pytest.raises(OSError):
        read_conntrack(2**22 + 1)


def test_open_sockets_of_the_runners_namespace_are_counted():
    def added() -> float:
        before = read_tcp(os.getpid())["tcp.in_use"].value
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_connection(one.getsockname()):
            return read_tcp(os.getpid())["tcp.in_use"].value - before

    assert any(added() >= 2 for _ in range(200)), "other programs may close theirs meanwhile"
