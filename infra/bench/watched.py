"""Runs a tool and watches it from outside: its CPU and the requests that nginx counts, in one window."""

from __future__ import annotations

import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.bench.contenders import Contender, Job, Percentiles

SETTLE_S = 1.3
WINDOW_S = 2.0
LENGTH_S = 4.0
STARTS_WITHIN_S = 20.0
MANY = 20
"""How many requests show that a tool has started."""


@dataclass(frozen=True)
class Measured:
    """What one tool did in one window.

    Attributes:
        rps: Requests a second that the server answered.
        cpu_us: CPU of the tool's whole process tree for each of them.
        says: Percentiles in milliseconds as the tool states them.
    """

    rps: float
    cpu_us: float
    says: Percentiles = field(default_factory=dict)


def run(contender: Contender, job: Job, status_url: str) -> Measured | None:
    """Measure a tool at a job; None when it cannot do it or is not installed."""
    words = contender.command(job)
    if words is None or contender.path is None:
        return None
    if contender.program != "python":
        words = [contender.path, *words[1:]]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        _wait_for_traffic(process, status_url)
        time.sleep(SETTLE_S)
        before = _reading(process.pid, status_url)
        time.sleep(WINDOW_S)
        after = _reading(process.pid, status_url)
        out, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=10)
    requests = after[1] - before[1]
    seconds = after[2] - before[2]
    if requests <= 0:
        return None
    return Measured(requests / seconds, (after[0] - before[0]) / requests * 1e6, contender.read(job, out))


def _wait_for_traffic(process: subprocess.Popen[str], status_url: str) -> None:
    """Wait until a tool has started, which takes long on a busy machine."""
    begun, seen = _answered(status_url), 1
    deadline = time.monotonic() + STARTS_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        seen += 1  # each look is a request as well
        if _answered(status_url) - begun > seen + MANY:
            return
        time.sleep(0.05)


def _answered(status_url: str) -> int:
    """Return how many requests nginx has answered."""
    with urllib.request.urlopen(status_url, timeout=5) as answer:
        return int(answer.read().decode().split("\n")[2].split()[2])


def _reading(pid: int, status_url: str) -> tuple[float, int, float]:
    """CPU seconds of a process tree, requests nginx has answered, and when that was."""
    instant = time.monotonic()
    cpu_s = _tree_cpu(pid)
    return cpu_s, _answered(status_url), instant


def _tree_cpu(pid: int) -> float:
    """By the kernel's nanosecond clocks where it has them; `/proc/<pid>/stat` counts ticks."""
    root = psutil.Process(pid)
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            total += _schedstat_s(process.pid)
        except (OSError, psutil.NoSuchProcess):
            continue
    return total


def _schedstat_s(pid: int) -> float:
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9
