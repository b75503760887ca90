"""Connections from a part of the system under test to the programs that serve it, on real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Peer, Subject
from runner.core.units import NS_PER_S
from runner.observe.counters.sock_diag import open_in
from runner.observe.peers import proc_net, tcp
from runner.observe.peers.reading import Connections
from runner.observe.peers.watch import Peers
from runner.observe.processes import name_of, start_ticks

_CLIENT = """
    import socket, sys
    def connect(place):
        if place.startswith("/"):
            client = socket.socket(socket.AF_UNIX); client.connect(place)
            return client
        host, _, port = place.rpartition(":")
        return socket.create_connection((host, int(port)))
    clients = [connect(place) for place in sys.argv[1:]]
    print("connected", flush=True)
    for line in sys.stdin:
        number = int(line)
        if number < 0: clients.pop()
        else: clients[number].sendall(b"request")
        print("done", flush=True)
"""
Client = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def client() -> Iterator[Client]:
    """Start a process that connects to the given places, and sends a request to some of them."""
    with ExitStack() as ending:

        def start(*places: str) -> subprocess.Popen[str]:
            argv = [sys.executable, "-c", textwrap.dedent(_CLIENT), *places]
            process = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            ending.enter_context(process)
            ending.callback(process.kill)
            assert process.stdout
            assert process.stdout.readline() == "connected\n"
            return process

        yield start


def _tell(process: subprocess.Popen[str], number: int) -> None:
    assert process.stdin
    assert process.stdout
    print(number, file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


def _subject(process: subprocess.Popen[str], role: str = Role.APP, name: str = "app") -> Subject:
    return Subject(name, role, "tree", process.pid, start_ticks(process.pid))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Listen in this process, which is a program outside the experiment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def connections() -> Iterator[Callable[..., Connections]]:
    with ExitStack() as closing:

        def make(*subjects: Subject, **watched: int) -> Connections:
            made = Connections(subjects, {port: name for name, port in watched.items()})
            made.open(closing)
            return made

        yield make


def _only(found: Connections) -> Peer:
    (peer,) = found.series.peers()
    return peer


def test_a_peer_is_named_by_its_process_its_address_and_its_port(
    client: Client, server: socket.socket, connections: Callable[..., Connections]
) -> None:
    port = server.getsockname()[1]
    reading = connections(_subject(client(*[f"127.0.0.1:{port}"] * 3)))
    reading.read(0.0)
    peer = _only(reading)
    assert (peer.subject, peer.address, peer.port) == ("app", "127.0.0.1", port)
    assert (peer.role, peer.program, peer.pid) == ("", name_of(os.getpid()), os.getpid())
    assert [sample.established for sample in peer.samples] == [3]


def test_a_request_is_under_way_from_when_it_is_sent_until_the_response(
    client: Client, server: socket.socket, connections: Callable[..., Connections]
) -> None:
    app = client(*[f"127.0.0.1:{server.getsockname()[1]}"] * 2)
    accepted = [server.accept()[0] for _ in range(2)]
    reading = connections(_subject(app))
    reading.read(0.0)
    _tell(app, 0)
    reading.read(1.0)
    for one in accepted:
        one.setblocking(False)
    asked = next(one for one in accepted if _has_request(one))
    time.sleep(0.05)  # more than a tick of the kernel's clock
    asked.sendall(b"response")
    time.sleep(0.05)
    reading.read(2.0)
    for one in accepted:
        one.close()
    assert [sample.waiting for sample in _only(reading).samples] == [0, 1, 0]


def _has_request(one: socket.socket) -> bool:
    try:
        return bool(one.recv(100))
    except BlockingIOError:
        return False


def test_connections_that_open_and_close_are_counted_and_before_the_first_there_were_none(
    client: Client, server: socket.socket, connections: Callable[..., Connections]
) -> None:
    place = f"127.0.0.1:{server.getsockname()[1]}"
    app = client(place)
    reading = connections(_subject(app))
    with socket.create_server(("127.0.0.1", 0)) as other:
        reading.read(0.0)
        second = client(f"127.0.0.1:{other.getsockname()[1]}")
        reading = connections(_subject(app), _subject(second, name="app-2"))
        reading.read(0.0)
        _tell(app, -1)
        reading.read(1.0)
    by_subject = {peer.subject: peer for peer in reading.series.peers()}
    assert [sample.established for sample in by_subject["app"].samples] == [1, 0]
    assert [sample.established for sample in by_subject["app-2"].samples] == [1, 1]
    assert by_subject["app-2"].opened == 0


def test_connections_of_other_programs_and_accepted_ones_are_left_out(
    client: Client, server: socket.socket, connections: Callable[..., Connections]
) -> None:
    app = client()
    generator = client(f"127.0.0.1:{server.getsockname()[1]}")
    reading = connections(_subject(app))
    reading.read(0.0)
    assert reading.series.peers() == ()
    served = connections(Subject("app", Role.APP, "process", os.getpid(), start_ticks(os.getpid())))
    served.read(0.0)
    ports = {peer.port for peer in served.series.peers()}
    assert server.getsockname()[1] not in ports
    assert generator.poll() is None


def test_a_peer_that_is_a_service_of_the_stack_has_its_role(
    client: Client, connections: Callable[..., Connections]
) -> None:
    argv = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}) as db:
        assert db.stdout
        port = int(db.stdout.readline().split(" port ")[1].split()[0])
        app = client(f"127.0.0.1:{port}")
        reading = connections(_subject(app), _subject(db, "db", "db"))
        reading.read(0.0)
        db.kill()
    peer = _only(reading)
    assert (peer.role, peer.pid) == ("db", db.pid)


def test_a_unix_socket_is_a_peer_by_its_path_without_knowledge_of_requests(
    client: Client, connections: Callable[..., Connections], tmp_path: Path
) -> None:
    path = str(tmp_path / "db.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        app = client(path, path)
        accepted = [listening.accept()[0] for _ in range(2)]
        _tell(app, 0)
        reading = connections(_subject(app))
        reading.read(0.0)
        for one in accepted:
            one.close()
    peer = _only(reading)
    assert (peer.address, peer.port, peer.pid) == (path, 0, os.getpid())
    assert [(s.established, s.waiting) for s in peer.samples] == [(2, None)]
    assert peer.samples[0].queued_bytes > 0


def test_without_sock_diag_the_same_connections_are_read_from_proc(
    client: Client, server: socket.socket
) -> None:
    port = server.getsockname()[1]
    client(f"127.0.0.1:{port}", f"127.0.0.1:{port}")
    with open_in(os.getpid()) as diag:
        by_diag = {one.inode: one.to for one in tcp.connections(diag, [port]) if one.to.port == port}
        places = {one.place for one in tcp.listeners(diag) if one.place.port == port}
    by_proc = {o.inode: o.to for o in proc_net.connections(os.getpid(), [port]) if o.to.port == port}
    assert by_diag == by_proc
    assert len(by_diag) == 2
    assert {one.place for one in proc_net.listeners(os.getpid()) if one.place.port == port} == places
    assert len(places) == 1  # listeners of other programs come and go


def test_the_kernel_leaves_out_accepted_ends(client: Client, server: socket.socket) -> None:
    port = server.getsockname()[1]
    client(f"127.0.0.1:{port}")
    accepted, _ = server.accept()
    with accepted, open_in(os.getpid()) as diag:
        inode = os.fstat(accepted.fileno()).st_ino
        for ports in ([], [1], [port - 1, port + 1], [65_535, 1]):
            assert inode in {one.inode for one in tcp.connections(diag, ports)}
        for ports in ([port], [1, port, 65_535]):
            found = list(tcp.connections(diag, ports))
            assert inode not in {one.inode for one in found}
            assert port in {one.to.port for one in found}


def test_a_watch_lasts_until_the_window_ends(client: Client, server: socket.socket) -> None:
    app = client(f"127.0.0.1:{server.getsockname()[1]}")
    begin_ns = time.monotonic_ns()
    peers = Peers([_subject(app)], Window(begin_ns, begin_ns, begin_ns + NS_PER_S // 2))
    trio.run(peers.watch)
    (peer,) = peers.found()
    times = [sample.t_s for sample in peer.samples]
    assert times == sorted(times)
    assert peers.notes() == ()


def test_a_service_that_ran_already_is_known_by_its_port_where_its_process_is_not(
    client: Client, server: socket.socket, connections: Callable[..., Connections]
) -> None:
    port = server.getsockname()[1]
    reading = connections(_subject(client(f"127.0.0.1:{port}")), redis=port)
    reading.read(0.0)
    assert _only(reading).role == "redis"
