"""What reading every counter costs, on a stack that is under load: `python -m infra.bench counters`."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import trio

from infra.bench.figures import free_port, nginx, wait_for_port
from runner.core.codes import Role
from runner.core.endpoint import Endpoint
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.counters.gather import Counters
from runner.observe.counters.page_watch import Pages
from runner.observe.processes import start_ticks

WINDOW_S = 20
REPLICAS = 2
RPS = 500
MOST = 0.03
"""Of one core, at a reading a second."""


def cost_of_counters() -> Iterator[tuple[str, str, str, bool]]:
    """Nginx and two replicas that are asked, all of their counters and pages, in this process alone."""
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(nginx())
        apps = [stack.enter_context(app_server()) for _ in range(REPLICAS)]
        watched = [subject("nginx", Role.PROXY, pid_of_nginx())]
        watched += [subject(f"app-{n}", Role.APP, pid) for n, (_, pid) in enumerate(apps, start=1)]
        for port in (front, *(port for port, _ in apps)):
            stack.enter_context(loaded(port))
        time.sleep(1)
        start = time.monotonic_ns()
        counters = Counters(
            watched,
            Window(start, start, start + WINDOW_S * 10**9),
            Pages(
                {f"app-{n}": f"http://127.0.0.1:{port}/metrics" for n, (port, _) in enumerate(apps, start=1)},
                {"nginx": f"http://127.0.0.1:{front}/status"},
            ),
            Endpoint("127.0.0.1", front),
        )
        before = time.process_time()
        trio.run(counters.watch)
        share = (time.process_time() - before) / WINDOW_S
    yield (
        f"CPU of reading all {len(counters.readable)} counters of nginx and {REPLICAS} replicas each second",
        f"{share:.2%} of a core, {len(counters.unreadable)} not readable",
        f"< {MOST:.0%}, 0",
        share < MOST and not counters.unreadable,
    )


def subject(name: str, role: Role, pid: int) -> Subject:
    return Subject(name, role, "tree", pid, start_ticks(pid))


def pid_of_nginx() -> int:
    return next(each.pid for each in psutil.Process().children() if "nginx" in each.name())


@contextlib.contextmanager
def app_server() -> Iterator[tuple[int, int]]:
    """The reference service; its port and its process."""
    port = free_port()
    program = Path(sys.executable).parent / "app-server"
    words = [str(program), "--host", "127.0.0.1", "--port", str(port)]
    with running(words) as process:
        wait_for_port(port)
        yield port, process.pid


@contextlib.contextmanager
def loaded(port: int) -> Iterator[None]:
    """A new connection for each of some hundred requests a second."""
    length_s = str(WINDOW_S + 10)
    words = ["--port", str(port), "--rate", str(RPS), "--seconds", length_s, "--new"]
    with running([sys.executable, "-m", "infra.bench.one", *words]):
        yield


@contextlib.contextmanager
def running(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    assert shutil.which(words[0])
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)
