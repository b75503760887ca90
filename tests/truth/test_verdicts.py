"""Scenarios that are built to have one limit: the verdict names it, and nothing else is called proven."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.truth.conftest import ROOT, eating, service

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="namespaces need root")
CONNTRACK_MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")
CONNTRACK_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


def process(*words, **more):
    return {"kind": "process", "app": {"command": service(*words)}, **more}


# -- healthy


def test_a_healthy_service_with_kept_connections(truth):
    truth.shows("within-capacity", process(), 200)


def test_a_healthy_service_with_new_connections(truth):
    truth.shows("within-capacity", process(), 200, connection="new")


# -- the app


def test_a_single_thread_that_burns_2_ms_a_request(truth):
    truth.shows("app-cpu-limited", process("--burn-us", "2000"), 800)


def test_a_single_thread_that_burns_5_ms_a_new_connection(truth):
    truth.shows("app-cpu-limited", process("--burn-us", "5000"), 300, connection="new")


def test_ten_slots_of_10_ms(truth):
    truth.shows(
        "app-concurrency-limited", process("--slots", "10", "--slot-ms", "10"), 1300, max_in_flight=300
    )


def test_two_slots_of_50_ms(truth):
    truth.shows("app-concurrency-limited", process("--slots", "2", "--slot-ms", "50"), 100, max_in_flight=50)


def test_every_request_refused(truth):
    truth.shows("error-limited", process("--refuse", "1"), 200)


def test_a_quarter_of_the_requests_refused(truth):
    truth.shows("error-limited", process("--refuse", "0.25"), 200)


# -- connections


def test_a_backlog_of_1(truth):
    truth.shows(
        "connection-limited",
        process("--backlog", "1", "--pause-ms", "20"),
        400,
        connection="new",
        timeout="400ms",
    )


def test_a_backlog_of_4_and_longer_pauses(truth):
    truth.shows(
        "connection-limited",
        process("--backlog", "4", "--pause-ms", "50"),
        400,
        connection="new",
        timeout="400ms",
    )


def test_forty_files_for_eighty_connections(truth):
    command = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *service("--sleep-ms", "200")]
    truth.shows("connection-limited", {"kind": "process", "app": {"command": command}}, 400, connection="new")


@NEEDS_ROOT
def test_a_port_range_of_100(truth):
    truth.words = in_a_namespace("echo 40000 40099 > /proc/sys/net/ipv4/ip_local_port_range")
    truth.shows("connection-limited", process("--sleep-ms", "300"), 800, connection="new")


def in_a_namespace(command):
    up = "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14s', b'lo', 1, b''))"
    lo = f"import fcntl, socket, struct; {up}"
    script = f'{sys.executable} -c "{lo}"; {command}; exec "$@"'
    return [shutil.which("unshare"), "--net", "sh", "-c", script, "sh"]


@pytest.mark.nginx
def test_nginx_with_room_for_32_connections(truth):
    proxy = {"kind": "nginx", "connections": 32, "workers": 1}
    topology = process("--sleep-ms", "100", proxy=proxy)
    truth.shows("connection-limited", topology, 600, connection="new", seconds=8)


@NEEDS_ROOT
@pytest.mark.skipif(not CONNTRACK_MAX.exists(), reason="this host tracks no connections")
def test_a_connection_table_that_is_too_small(truth):
    """The bound is the whole host's, so it is lowered for three seconds and put back."""
    before = CONNTRACK_MAX.read_text()
    running = truth.start(process("--sleep-ms", "50"), 1500, connection="new", timeout="500ms")
    try:
        wait_for_worker(running)
        time.sleep(1.5)
        CONNTRACK_MAX.write_text(str(int(CONNTRACK_COUNT.read_text()) + 20))
        found = truth.verdict(running)
    finally:
        CONNTRACK_MAX.write_text(before)
    if not any(each["name"] == "conntrack.count" and each["after"] for each in found["stage"]["counters"]):
        pytest.skip("no firewall rule of this host tracks loopback connections")
    truth.expect(found, "connection-limited")


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
@pytest.mark.parametrize(("connection", "rps"), [("keep-alive", 30_000), ("keep-alive", 22_000)])
def test_one_nginx_worker_before_a_cheap_app(truth, tmp_path, connection, rps):
    topology = {
        "kind": "process",
        "app": static_nginx(tmp_path, 18_431),
        "proxy": {"kind": "nginx", "workers": 1, "keepalive": 0},
    }
    truth.shows("proxy-cpu-limited", topology, rps, connection=connection, max_in_flight=500)


def test_programs_that_eat_the_hosts_cpu(truth, eaters):
    truth.shows("host-cpu-limited", process("--burn-us", "400"), 2200, max_in_flight=400)


def test_programs_that_eat_the_hosts_cpu_and_new_connections(truth, eaters):
    truth.shows("host-cpu-limited", process("--burn-us", "200"), 2500, connection="new", max_in_flight=400)


def test_a_program_on_the_one_processor_that_the_app_may_use(truth):
    """The host has room and the thread looks half idle: only its waiting for the processor shows it."""
    own, last = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
    assert own != last, "this takes two processors"
    truth.eats = True
    with eating([last]):
        truth.shows(
            "host-cpu-limited",
            process("--burn-us", "500", cpus=[last]),
            1500,
            cpus=[own],
            max_in_flight=400,
            timeout="2s",
        )


# -- what nothing shows


@contextlib.contextmanager
def already_running(*words):
    """A service that somebody else has started; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [word.replace("{port}", str(port)) for word in service(*words)]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as running:
        try:
            yield port
        finally:
            running.kill()


def test_a_burner_whose_processes_nobody_named(truth):
    """It is busy and looks as if it waited: without its CPU, neither is said."""
    with already_running("--burn-us", "2000") as port:
        time.sleep(1.0)
        topology = {"kind": "external", "url": f"http://127.0.0.1:{port}", "health": "/healthz"}
        truth.shows("undetermined", topology, 800, max_in_flight=300)


def test_a_service_that_never_answers_one_request_in_twenty(truth):
    truth.shows("undetermined", process("--lose", "0.05"), 60, timeout="300ms")


# -- the generator


def workers_of(pid):
    return [each for each in psutil.Process(pid).children(recursive=True) if is_worker(each)]


def is_worker(process):
    with contextlib.suppress(psutil.Error):  # short-lived children end while they are looked at
        return "runner.load.worker" in process.cmdline()
    return False


def wait_for_worker(running):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := workers_of(running.pid):
            return found[0]
        time.sleep(0.02)
    raise AssertionError("no generator worker came up")


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_generator_worker(truth, number):
    running = truth.start(process(), 300, seconds=5)
    worker = wait_for_worker(running)
    time.sleep(2.0)
    worker.send_signal(number)
    if number == signal.SIGSTOP:
        time.sleep(2.0)
        worker.resume()
    truth.expect(truth.verdict(running), "generator-limited")


# -- limits of containers


def image(folder):
    """The service in an image of its own, built on the stand-in for python."""
    (folder / "Dockerfile").write_text(
        "ARG BASE=python:3.12-slim\nFROM ${BASE}\nCOPY service.py quick.py /\n"
    )
    for name in ("service.py", "quick.py"):
        shutil.copy(ROOT / "tests" / "truth" / name, folder / name)
    return str(folder)


def container(folder, *words, **limits):
    command = ["python", "/service.py", "--host", "0.0.0.0", "--port", "{port}", *words]
    app = {"build": image(folder), "port": 8080, "command": command, **limits}
    return {"kind": "docker", "app": app, "publish": "container"}


@pytest.mark.docker
@pytest.mark.parametrize("cpus", [0.2, 0.4])
def test_a_cpu_limit(truth, tmp_path, cpus):
    truth.shows(
        "app-quota-throttled", container(tmp_path, "--burn-us", "1000", cpus=cpus), 700, max_in_flight=500
    )


@pytest.mark.docker
@pytest.mark.parametrize("memory", ["48MiB", "96MiB"])
def test_a_memory_limit(truth, tmp_path, memory):
    truth.shows("memory-limited", container(tmp_path, "--leak-kib", "200", memory=memory), 400)


@pytest.mark.docker
def test_a_healthy_container(truth, tmp_path):
    truth.shows("within-capacity", container(tmp_path, cpus=1.0, memory="128MiB"), 200)


# -- docker-proxy


@pytest.mark.docker
@pytest.mark.parametrize(("connection", "rps"), [("new", 14_000), ("keep-alive", 75_000)])
def test_docker_proxy_before_a_quick_app(truth, tmp_path, connection, rps):
    app = {"build": image(tmp_path), "port": 8080, "command": ["python", "/quick.py", "{port}"]}
    topology = {"kind": "docker", "app": app, "publish": "port"}
    truth.shows("forwarder-limited", topology, rps, connection=connection, max_in_flight=400)
