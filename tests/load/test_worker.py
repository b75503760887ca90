"""One worker process, controlled as the engine controls it."""

import contextlib
import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from runner.load.checks import CheckOrder
from runner.load.messages import WorkerEnd, WorkerReady, WorkerSecond, decode, decode_progress
from runner.load.worker_order import WorkerOrder, WorkerStart, from_json
from tests.load.orders import order, request
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def respond(client: socket.socket, _: bytes) -> None:
    client.sendall(OK)


@contextlib.contextmanager
def worker(stage: WorkerOrder, stdout: int = subprocess.PIPE):
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "runner.load.worker"], stdin=subprocess.PIPE, stdout=stdout
    )
    try:
        process.stdin.write(stage.to_json())
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


def start(process: subprocess.Popen) -> None:
    decode(process.stdout.readline(), WorkerReady)
    begin(process)


def begin(process: subprocess.Popen) -> None:
    process.stdin.write(WorkerStart(time.monotonic_ns() + 50_000_000).to_json())
    process.stdin.flush()


def reports(process: subprocess.Popen) -> tuple[list[WorkerSecond], WorkerEnd]:
    """Read until the stage ends."""
    seconds = []
    for line in process.stdout:
        message = decode_progress(line)
        if isinstance(message, WorkerEnd):
            return seconds, message
        seconds.append(message)
    raise AssertionError("the worker ended without a last message")


def test_a_worker_exits_at_once_when_the_runner_has_exited():
    with scripted(respond) as port, worker(order(port, duration=60.0)) as process:
        start(process)
        process.stdout.readline()

        process.stdin.close()

        assert process.wait(5) == 0
        process.stdin = None


def test_a_worker_sends_nothing_when_the_runner_exits_before_the_start():
    received = []
    with scripted(lambda client, request: received.append(request)) as port, worker(order(port)) as process:
        process.stdout.readline()

        process.stdin.close()

        assert process.wait(5) == 0
        process.stdin = None
    assert received == []


def test_a_worker_ignores_ctrl_c():
    with scripted(respond) as port, worker(order(port)) as process:
        start(process)
        process.send_signal(signal.SIGINT)

        seconds, _ = reports(process)

    assert sum(second.succeeded for second in seconds) == 20


def fill(pipe: int) -> None:
    """Leave no room in a pipe, so that its next writer has to wait for the reader."""
    blocking = os.get_blocking(pipe)  # which the worker has set: it is the same pipe
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe, b"\n"):
            pass
    os.set_blocking(pipe, blocking)


def test_a_runner_that_does_not_read_does_not_block_the_load():
    received = itertools.count()
    beyond_the_first_seconds = threading.Event()

    def count_and_respond(client: socket.socket, request: bytes) -> None:
        respond(client, request)
        if next(received) == 250:
            beyond_the_first_seconds.set()

    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
    with (
        scripted(count_and_respond) as port,
        os.fdopen(reading, "rb") as lines,
        worker(order(port, duration=60.0, rate=100.0), stdout=writing) as process,
    ):
        decode(lines.readline(), WorkerReady)
        fill(writing)
        os.close(writing)
        begin(process)

        assert beyond_the_first_seconds.wait(30)
        process.stdin.close()

        *seconds, _ = (decode_progress(line) for line in lines if line != b"\n")
        process.stdin = None
    assert [second.index for second in seconds] == list(range(max(2, len(seconds))))
    assert {second.scheduled for second in seconds} == {100}


def test_an_order_survives_the_pipe_byte_for_byte():

    sent = request(bytes(range(256)), checks=CheckOrder(contains=(b"\xff\x00",)))
    stage = order(1, requests=(sent,), cpus=(0, 3))

    assert from_json(stage.to_json()) == stage


def test_a_worker_stays_on_its_processors():
    cpu = min(os.sched_getaffinity(0))
    with worker(order(1, cpus=(cpu,))) as process:
        process.stdout.readline()

        assert os.sched_getaffinity(process.pid) == {cpu}


@pytest.mark.parametrize("quantum_ns", [0, 250_000, 1_000_000])
def test_the_quantum_changes_no_count(quantum_ns):
    with scripted(respond) as port:
        stage = order(
            port, rate=2000.0, warmup=0.1001, duration=0.3, quantum_ns=quantum_ns, max_in_flight=800
        )
        with worker(stage) as process:
            start(process)
            seconds, end = reports(process)

    assert sum(second.scheduled for second in seconds) == 600
    assert sum(second.succeeded for second in seconds) == 600 - end.too_late  # of a busy machine
