"""One worker process, spoken to as the engine speaks to it."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from runner.load.worker_order import WorkerOrder
from tests.load.orders import order
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def answer(client: socket.socket, _: bytes) -> None:
    client.sendall(OK)


@contextlib.contextmanager
def worker(what: WorkerOrder):
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "runner.load.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        process.stdin.write(what.to_json())
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


def start(process: subprocess.Popen) -> None:
    assert json.loads(process.stdout.readline())["ready"]
    instant = json.dumps({"start_ns": time.monotonic_ns() + 50_000_000})
    process.stdin.write(instant.encode() + b"\n")
    process.stdin.flush()


def test_a_worker_whose_runner_has_gone_ends_at_once():
    with scripted(answer) as port, worker(order(port, duration=60.0)) as process:
        start(process)
        process.stdout.readline()

        process.stdin.close()

        assert process.wait(5) == 0
        process.stdin = None


def test_a_worker_whose_runner_has_gone_before_the_start_sends_nothing():
    seen = []
    with scripted(lambda client, request: seen.append(request)) as port, worker(order(port)) as process:
        process.stdout.readline()

        process.stdin.close()

        assert process.wait(5) == 0
        process.stdin = None
    assert seen == []


def test_ctrl_c_is_left_to_the_runner():
    with scripted(answer) as port, worker(order(port)) as process:
        start(process)
        process.send_signal(signal.SIGINT)

        lines = [json.loads(line) for line in process.stdout]

    assert sum(line.get("succeeded", 0) for line in lines) == 20


def test_a_runner_that_does_not_read_does_not_hold_the_load_up():
    with scripted(answer) as port, worker(order(port, duration=3.0, rate=300.0)) as process:
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        start(process)
        time.sleep(3.5)

        lines = [json.loads(line) for line in process.stdout]

    late = [line["dispatch_delay"][3] for line in lines if "dispatch_delay" in line]
    assert sum(line.get("succeeded", 0) for line in lines) == 900
    assert lines[-1]["longest_stall_ns"] == 0
    assert len(late) >= 3


def test_an_order_survives_the_pipe_byte_for_byte():
    from runner.load.worker_order import from_json

    what = order(1, request=bytes(range(256)), body_contains=b"\xff\x00", cpus=(0, 3))

    assert from_json(what.to_json()) == what


def test_a_worker_stays_on_the_processors_it_is_given():
    cpu = min(os.sched_getaffinity(0))
    with worker(order(1, cpus=(cpu,))) as process:
        process.stdout.readline()

        assert os.sched_getaffinity(process.pid) == {cpu}


@pytest.mark.parametrize("quantum_ns", [0, 250_000, 1_000_000])
def test_the_quantum_changes_no_count(quantum_ns):
    with scripted(answer) as port:
        what = order(port, rate=2000.0, warmup=0.1001, duration=0.3, quantum_ns=quantum_ns)
        with worker(what) as process:
            start(process)
            lines = [json.loads(line) for line in process.stdout]

    assert sum(line.get("scheduled", 0) for line in lines) == 600
    assert sum(line.get("succeeded", 0) for line in lines) == 600
