"""Counters of other namespaces, of services nobody watches, and of those that may not be seen."""

import ast
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from runner.core.facts import Endpoint, Role, Subject, Window
from runner.observe.counters.conntrack import Conntrack, conntrack
from runner.observe.counters.gather import Counters
from runner.observe.counters.level import Level
from runner.observe.counters.network import Tcp
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
    return {(each.scope, each.name): each for each in counters.found}


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

    least, most = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert limits == [most - least + 1, 100]


async def test_the_listener_of_a_service_that_nobody_watches_is_read():
    with socket.create_server(("127.0.0.1", 0), backlog=7) as listener:
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1])
        counters = Counters((), window(0.1), {}, {}, endpoint)
        await counters.watch()

    assert by_key(counters)["net:host", f"tcp.accept_queue.{endpoint.port}"].limit == 7
    assert [name for _, name in by_key(counters) if "accept_queue" in name] == [
        f"tcp.accept_queue.{endpoint.port}"
    ]


def test_a_service_on_another_host_has_no_listener_here():
    families = [source.family for source in sources_for((), Endpoint("192.0.2.1", 80))]

    assert "tcp.accept_queue" not in families
    assert "tcp" in families


async def test_a_process_that_ends_in_the_window_has_no_numbers():
    with start("print('up', flush=True); input()") as process:
        counters = Counters([subject(process)], window(0.5), {}, {})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(counters.watch)
            await trio.sleep(0.2)
            process.kill()
            process.wait()

    assert not [key for key in by_key(counters) if key[0] == "app"]
    assert {(it.name, it.reason) for it in counters.unreadable if it.scope == "app"} == {
        (name, "its process has ended") for name in ("threads", "fds", "ctx")
    }


def test_a_pid_that_was_given_again_is_not_the_process_that_was_meant():
    other = Subject("app", Role.APP, "process", os.getpid(), 1)

    for source in sources_for([other]):
        if source.scope == "app":
            with pytest.raises(ProcessLookupError):
                source.read()


async def test_a_watch_that_is_cut_short_keeps_what_it_saw_until_then():
    counters = Counters((), window(30), {}, {})
    with trio.move_on_after(0.2):
        await counters.watch()

    switches = by_key(counters)["host", "context_switches"]
    assert switches.after > switches.before


async def test_a_page_that_answers_only_at_the_end_gives_no_delta_of_zero():
    page = b"Active connections: 1 \nserver accepts handled requests\n 10 10 10 \n"
    asked = []

    def answer(client, _):
        asked.append(1)
        status = b"200 OK" if len(asked) > 1 else b"503 Busy"
        client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(page), page))

    with scripted(answer) as port:
        counters = Counters((), window(0.3), {}, {"nginx": f"http://127.0.0.1:{port}/"})
        await counters.watch()

    assert len(asked) == 2
    assert not [key for key in by_key(counters) if key[0] == "nginx"]
    assert [(it.name, it.reason) for it in counters.unreadable if it.scope == "nginx"] == [
        ("nginx", "its page answered 503")
    ]


async def test_nginx_is_asked_every_second_for_its_highest_number_of_connections():
    page = b"Active connections: %d \nserver accepts handled requests\n 10 10 10 \n"
    levels = iter([1, 30, 2])

    def answer(client, _):
        text = page % next(levels)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))

    with scripted(answer) as port:
        counters = Counters((), window(1.1), {}, {"nginx": f"http://127.0.0.1:{port}/"}, room=32)
        await counters.watch()

    active = by_key(counters)["nginx", "nginx.active"]
    assert (active.before, active.peak, active.after, active.limit) == (1, 30, 2, 32)


@ROOT
def test_only_who_opens_connections_has_ports_in_use():
    script = "import sys; print('up', flush=True); sys.stdin.read()"
    found = {}
    for role in Role.APP, Role.PROXY:
        with start(script, shutil.which("unshare"), "--net") as process:
            watched = replace(subject(process), role=role)
            found[role] = [it.family for it in sources_for([watched]) if it.scope == "net:app"]
            process.kill()

    assert "ports" in found[Role.PROXY]
    assert "ports" not in found[Role.APP]


async def test_a_page_whose_connection_is_closed_at_a_limit_is_asked_again():
    page = b"Active connections: 1 \nserver accepts handled requests\n 10 %d 10 \n"
    asked = []

    def answer(client, _):
        asked.append(1)
        if len(asked) != 2:  # the second connection is closed without an answer
            text = page % (9 + len(asked))
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
        else:
            client.shutdown(socket.SHUT_RDWR)

    with scripted(answer) as port:
        counters = Counters((), window(0.1), {}, {"nginx": f"http://127.0.0.1:{port}/"})
        await counters.watch()

    handled = by_key(counters)["nginx", "nginx.handled"]
    assert (handled.before, handled.after) == (10, 12)


def seen_by_nobody(watched):
    """Counters as a user without rights has them: reasons by (scope, name), and the keys of what was read."""
    script = f"""
import os, time, trio
from runner.core.facts import Role, Subject, Window
from runner.observe.counters.gather import Counters
start = time.monotonic_ns()
watched = Subject("app", Role("{watched.role}"), "process", {watched.pid}, {watched.started})
counters = Counters([watched], Window(start, start, start + 50_000_000), {{}}, {{}})
os.setgroups([]); os.setgid(65534); os.setuid(65534)
trio.run(counters.watch)
print(dict(((it.scope, it.name), it.reason) for it in counters.unreadable))
print([(each.scope, each.name) for each in counters.found])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [ast.literal_eval(line) for line in done.stdout.splitlines()]


@ROOT
def test_what_a_permission_hides_is_said_to_be_not_permitted():
    reasons, found = seen_by_nobody(
        Subject("app", Role.APP, "process", os.getpid(), start_ticks(os.getpid()))
    )

    assert reasons["net:host", "tcp.accept_queue"] == "not permitted"
    assert {("net:host", "tcp.listen_overflows"), ("app", "threads.hottest_cores")} <= set(map(tuple, found))


@ROOT
def test_a_container_of_root_still_shows_its_network_to_a_user():
    script = "import sys; print('up', flush=True); sys.stdin.read()"
    with start(script, shutil.which("unshare"), "--net") as process:
        reasons, found = seen_by_nobody(replace(subject(process), role=Role.PROXY))
        process.kill()

    assert reasons["net:app", "tcp.accept_queue"] == reasons["net:app", "ports"] == "not permitted"
    assert ("net:app", "tcp.listen_overflows") in set(map(tuple, found))


def test_a_kernel_without_a_counter_does_not_have_zero_of_it():
    found = conntrack("entries searched drop\n0000000a 0 1\n", None)

    assert found["conntrack.drop"] == Level(1)
    assert found["conntrack.early_drop"] is None


def test_a_namespace_without_connection_tracking_raises_and_reads_no_zero():
    with pytest.raises(OSError):
        Conntrack("net:x", 2**22 + 1).read()


async def test_both_families_of_one_namespace_are_read_where_the_runner_is():
    before = Tcp("net:host", os.getpid()).read()["tcp.in_use"].value
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        during = Tcp("net:host", os.getpid()).read()["tcp.in_use"].value

    assert during > before
