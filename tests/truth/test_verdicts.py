"""Cases that are built to have one limit: the verdict names it, and no other finding is proven."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.truth.conftest import IMAGE, ROOT, Case, service, wait_for_worker
from tests.truth.systems import NEEDS_ROOT, NEW, container, marked, process, service_in_a_container
from tests.truth.throttled import disk

CONNTRACK_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
CONNTRACK_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


FORTY_FILES = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *service("--sleep-ms", "200")]
PLAIN = {
    "a healthy service with keep-alive connections": Case("within-capacity", process(), 200),
    "a healthy service with new connections": Case("within-capacity", process(), 200, NEW),
    "a single thread that burns 2 ms per request": Case("app-cpu-limited", process("--burn-us", "2000"), 800),
    "a single thread that burns 5 ms per new connection": Case(
        "app-cpu-limited", process("--burn-us", "5000"), 300, NEW
    ),
    "ten slots of 10 ms": Case(
        "app-concurrency-limited", process("--slots", "10", "--slot-ms", "10"), 1300, {"max_in_flight": 300}
    ),
    "two slots of 50 ms": Case(
        "app-concurrency-limited", process("--slots", "2", "--slot-ms", "50"), 100, {"max_in_flight": 50}
    ),
    "forty files for eighty connections": Case(
        "connection-limited", {"kind": "process", "app": {"command": FORTY_FILES}}, 400, NEW
    ),
    "no response to one request in twenty": Case(
        "undetermined", process("--lose", "0.05"), 60, {"timeout": "300ms"}
    ),
}
"""CI has a service without a limit in test_services.py."""

MORE = {
    "a healthy service with keep-alive connections",
    "a healthy service with new connections",
    "a single thread that burns 5 ms per new connection",
    "two slots of 50 ms",
}
"""A second of their kind, for `make truth`."""


@pytest.mark.parametrize("case", [marked(case, more=name in MORE) for name, case in PLAIN.items()], ids=PLAIN)
def test_a_plain_process(truth, shared, case, request):
    truth.check(case, shared[request.node.callspec.id])


# -- connections


NGINX_OF_32 = process("--sleep-ms", "100", proxy={"kind": "nginx", "connections": 32, "workers": 1})


@pytest.mark.nginx
@pytest.mark.verdict
@pytest.mark.parametrize(
    "case", [Case("connection-limited", NGINX_OF_32, 600, NEW, seconds=8)], ids=["nginx"]
)
def test_nginx_with_at_most_32_connections(truth, shared, case):
    truth.check(case, shared["nginx"])


@NEEDS_ROOT
@pytest.mark.skipif(not CONNTRACK_MAX.exists(), reason="this host tracks no connections")
@pytest.mark.verdict
def test_a_connection_table_that_is_too_small(truth):
    """The limit is the whole host's, so it is lowered for three seconds and restored."""
    before = CONNTRACK_MAX.read_text()
    case = Case("connection-limited", process("--sleep-ms", "50"), 1500, NEW | {"timeout": "500ms"})
    running = truth.start(case)
    try:
        wait_for_worker(running)
        time.sleep(1.5)
        CONNTRACK_MAX.write_text(str(int(CONNTRACK_COUNT.read_text()) + 20))
        verdict = truth.verdict(running)
    finally:
        CONNTRACK_MAX.write_text(before)
    counters = verdict["stage"]["counters"]
    if not any(counter["name"] == "conntrack.count" and counter["after"] for counter in counters):
        pytest.skip("no firewall rule of this host tracks loopback connections")
    truth.expect(verdict, case)


# -- nginx, docker-proxy and the host

STATIC = """
worker_processes {workers}; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok"; }} }} }}
"""


def static_nginx(folder, port):
    (folder / "nginx.conf").write_text(STATIC.format(folder=folder, port=port, workers=2))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    return {
        "command": [program, "-e", "stderr", "-c", str(folder / "nginx.conf"), "-p", str(folder)],
        "port": port,
    }


@pytest.mark.nginx
@pytest.mark.parametrize("rps", [30_000, marked(22_000, more=True)])
@pytest.mark.verdict
def test_one_nginx_worker_before_a_cheap_app(truth, tmp_path, rps):
    topology = {
        "kind": "process",
        "app": static_nginx(tmp_path, 9_433),
        "proxy": {"kind": "nginx", "workers": 1, "keepalive": 0},
    }
    truth.shows("proxy-cpu-limited", topology, rps, connection="keep-alive", max_in_flight=500)


@pytest.mark.verdict
def test_programs_that_use_the_hosts_cpu(truth, eaters):
    truth.shows("host-cpu-limited", process("--burn-us", "400"), 2200, max_in_flight=400)


@pytest.mark.verdict
@pytest.mark.only_truth
def test_programs_that_use_the_hosts_cpu_and_new_connections(truth, eaters):
    truth.shows("host-cpu-limited", process("--burn-us", "200"), 2500, connection="new", max_in_flight=400)


@pytest.mark.verdict
def test_a_program_on_the_one_processor_that_the_app_may_use(truth):
    """The host has idle CPU and the thread looks half idle: only its waits for a processor show the limit."""
    own, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    assert own != last, "this needs two processors"
    truth.eaten = [last]
    truth.shows(
        "host-cpu-limited",
        process("--burn-us", "500", cpus=[last]),
        1500,
        cpus=[own],
        max_in_flight=400,
        timeout="2s",
    )


# -- without evidence


@contextlib.contextmanager
def already_running(*words):
    """Start a service outside the runner; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [word.replace("{port}", str(port)) for word in service(*words)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as running:
        try:
            yield port
        finally:
            running.kill()


@pytest.mark.verdict
@pytest.mark.only_truth
def test_a_busy_service_whose_processes_are_not_named(truth):
    """It is busy but may as well be waiting: without its CPU, neither verdict is possible."""
    with already_running("--burn-us", "2000") as port:
        time.sleep(1.0)
        topology = {"kind": "external", "url": f"http://127.0.0.1:{port}", "health": "/healthz"}
        truth.shows("undetermined", topology, 800, max_in_flight=300)


# -- limits of containers, and docker-proxy


def burning(cpus):
    topology = service_in_a_container("--burn-us", "1000", cpus=cpus)
    return Case("app-quota-throttled", topology, 700, {"max_in_flight": 500})


def forwarded(connection, rps):
    load = {"connection": connection, "max_in_flight": 400}
    return Case("forwarder-limited", container(publish="port"), rps, load)


HEALTHY = service_in_a_container(cpus=1.0, memory="128MiB")
CONTAINERS = {
    "a CPU limit of 0.2": burning(0.2),
    "a CPU limit of 0.4": burning(0.4),
    "a healthy container": Case("within-capacity", HEALTHY, 200),
    "docker-proxy and new connections": forwarded("new", 14_000),
    "docker-proxy and keep-alive connections": forwarded("keep-alive", 75_000),
}
MORE_CONTAINERS = {
    "a CPU limit of 0.4",
    "a healthy container",
    "docker-proxy and keep-alive connections",
}


@pytest.mark.docker
@pytest.mark.verdict
@pytest.mark.parametrize(
    "case",
    [marked(case, more=name in MORE_CONTAINERS) for name, case in CONTAINERS.items()],
    ids=CONTAINERS,
)
def test_a_container(truth, shared, case, request):
    truth.check(case, shared[request.node.callspec.id])


COMPOSE = """
services:
  web:
    build: {image}
    command: [python, /service.py, --host, 0.0.0.0, --port, "8080", --sync-kib, "8"]
    blkio_config: {{device_write_iops: [{{path: {disk}, rate: 60}}]}}
"""


@NEEDS_ROOT
@pytest.mark.docker
@pytest.mark.verdict
@pytest.mark.only_truth
def test_a_limit_of_writes_in_a_compose_file(truth, tmp_path):
    (tmp_path / "docker-compose.yml").write_text(
        COMPOSE.format(image=IMAGE, disk=f"/dev/{disk(tmp_path).name}")
    )
    target = {"service": "web", "port": 8080}
    topology = {"kind": "compose", "files": ["docker-compose.yml"], "target": target, "health": "/healthz"}
    truth.shows("io-limited", topology, 150)
