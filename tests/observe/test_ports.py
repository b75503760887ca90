"""Ports in use are those that the next connection cannot use: by destination, and of connecting sockets only.

Each test has a network namespace of its own, without other connections.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="namespaces need root")

PRELUDE = """
import contextlib, fcntl, os, pathlib, socket, struct
from runner.observe.counters.ports import Ports
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14s", b"lo", 1, b""))
RANGE = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")

def in_use(to=0):
    source = Ports("net:host", os.getpid(), to)
    with contextlib.closing(source):
        return round(source.read()["ports.in_use"].value)

def connect(port, clients, host="127.0.0.1"):
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    pairs = [(socket.create_connection((host, port)), listener.accept()[0]) for _ in range(clients)]
    return listener, pairs
"""


def output_of(script):
    done = subprocess.run(
        [shutil.which("unshare"), "--net", sys.executable, "-c", PRELUDE + script],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_destination_with_most_connections_counts_and_accepted_sockets_do_not():
    assert output_of("kept = connect(8080, 40), connect(8081, 60); print(in_use())") == ["60"]


def test_a_service_within_the_range_counts_when_it_is_named():
    assert output_of("kept = connect(40000, 50); print(in_use(40000), in_use())") == ["50", "0"]


def test_connections_over_ipv6_count_too():
    assert output_of("kept = connect(8080, 45, '::1'); print(in_use())") == ["45"]


@pytest.mark.parametrize(("closes_first", "expected"), [("client", "40"), ("server", "0")])
def test_time_wait_occupies_a_port_at_this_end_only(closes_first, expected):
    script = f"""
listener, pairs = connect(8080, 40)
for client, server in pairs:
    first, second = (client, server) if {closes_first == "client"} else (server, client)
    first.close()
    second.recv(1)
    second.close()
print(in_use())
"""
    assert output_of(script) == [expected]


def test_all_ports_are_in_use_when_none_is_left():
    script = """
RANGE.write_text("40000 40009")
kept = connect(8080, 0)
clients = []
try:
    while True:
        clients.append(socket.create_connection(("127.0.0.1", 8080)))
except OSError:
    print(len(clients), in_use())
"""
    assert output_of(script) == ["10", "10"]


def test_the_limit_is_the_size_of_the_range():
    script = """
RANGE.write_text("40000 40099")
print(round(Ports("net:host", os.getpid()).read()["ports.in_use"].limit))
"""
    assert output_of(script) == ["100"]
