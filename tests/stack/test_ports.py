import os
import socket
import subprocess
import sys
from pathlib import Path

from runner.stack.ports import free_port, holders, is_free, listeners


def test_a_free_port_can_be_listened_on_and_lies_outside_the_ephemeral_range():
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    ports = [free_port() for _ in range(50)]

    assert all(1024 < port < lowest for port in ports)
    with socket.create_server(("127.0.0.1", ports[0])):
        assert not is_free(ports[0])


def test_without_ports_below_the_ephemeral_range_the_kernel_chooses(monkeypatch):
    monkeypatch.setattr("runner.stack.ports._first_ephemeral_port", lambda: 1024)

    assert is_free(free_port())


def test_a_port_taken_on_all_addresses_is_not_free():
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_connections_in_time_wait_do_not_take_a_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            connection, _ = server.accept()
            connection.close()  # the server's side closes first and keeps the TIME_WAIT
            client.recv(1)

    assert is_free(port)


def test_the_holder_of_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        (holder,) = holders(port)

    assert (str(holder), holder.pid) == (f"127.0.0.1:{port}", os.getpid())
    assert holder.owner.endswith(f" (pid {os.getpid()})")


def test_a_free_port_has_no_holder():
    assert holders(free_port()) == []


def test_listeners_are_those_of_the_given_processes():
    code = "import socket; s = socket.create_server(('', 0)); print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())

        assert [listener.port for listener in listeners([process.pid])] == [port]
        process.stdin.write("\n")
    assert listeners([process.pid]) == []
