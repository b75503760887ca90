"""Cases whose limit is proven by counters: whatever else the machine does, these run beside other tests."""

import shutil
import signal
import sys
import time

import pytest

from tests.truth.conftest import Case, wait_for_worker
from tests.truth.systems import NEEDS_ROOT, NEW, marked, process, service_in_a_container


def short_backlog(size, pause_ms):
    words = "--backlog", str(size), "--pause-ms", str(pause_ms)
    return Case("connection-limited", process(*words), 400, NEW | {"timeout": "400ms"})


def leaking(memory):
    return Case("memory-limited", service_in_a_container("--leak-kib", "200", memory=memory), 400)


PLAIN = {
    "every request refused": Case("error-limited", process("--refuse", "1"), 200),
    "a backlog of 1": short_backlog(1, 20),
}
MORE = {
    "a quarter of the requests refused": Case("error-limited", process("--refuse", "0.25"), 200),
    "a backlog of 4 and longer pauses": short_backlog(4, 50),
}
"""A second of their kind, for `make truth`."""
CASES = [
    *(pytest.param(case, id=name) for name, case in PLAIN.items()),
    *(pytest.param(case, id=name, marks=pytest.mark.only_truth) for name, case in MORE.items()),
]


@pytest.mark.parametrize("case", CASES)
def test_a_plain_process(truth, shared, case, request):
    truth.check(case, shared[request.node.callspec.id])


@NEEDS_ROOT
@pytest.mark.verdict
def test_a_port_range_of_100(truth):
    truth.words = in_a_namespace("echo 40000 40099 > /proc/sys/net/ipv4/ip_local_port_range")
    truth.shows("connection-limited", process("--sleep-ms", "300"), 800, connection="new")


def in_a_namespace(command):
    up = "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14s', b'lo', 1, b''))"
    lo = f"import fcntl, socket, struct; {up}"
    script = f'{sys.executable} -c "{lo}"; {command}; exec "$@"'
    return [shutil.which("unshare"), "--net", "sh", "-c", script, "sh"]


@pytest.mark.parametrize(
    "number", [signal.SIGSTOP, marked(signal.SIGKILL, more=True)], ids=["stopped", "killed"]
)
@pytest.mark.verdict
def test_a_generator_worker(truth, number):
    case = Case("generator-limited", process(), 300, seconds=5)
    running = truth.start(case)
    worker = wait_for_worker(running)
    time.sleep(2.0)
    worker.send_signal(number)
    if number == signal.SIGSTOP:
        time.sleep(2.0)
        worker.resume()
    truth.expect(truth.verdict(running), case)


@pytest.mark.docker
@pytest.mark.verdict
@pytest.mark.parametrize("memory", ["48MiB", marked("96MiB", more=True)])
def test_a_memory_limit_of_a_container(truth, memory):
    case = leaking(memory)
    truth.check(case, truth.verdict(truth.start(case)))
